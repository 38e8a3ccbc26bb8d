"""The parts of tools/plug_into_caffe.py. They need nothing but Python's own library, 3.8 or newer.

tree         recognises a Caffe tree and what is registered in it
plug         the plug-in as a whole: which changes make it up
files        what is copied, and the closure over its includes
rivals       layers of the same types that are there already
proto_merge  messages and fields into caffe.proto (proto_text reads it)
factory      convolutions with three axes, in the layer factory
modernize    what a Caffe of 2020 needs today, edit by edit
toolchain    what this machine has, for --check
text         edits that keep line ends and encoding
draft        the tree as it is going to be
transaction  all changes or none (journal remembers them, merge3 tells a person's later ones from
             ours, disk writes single files)
"""
