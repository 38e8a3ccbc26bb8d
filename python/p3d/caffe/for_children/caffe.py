"""What ``import caffe`` finds in the processes that a script starts anew, by multiprocessing's
"spawn" or "forkserver": they get its sys.path, with this folder in it, but not its modules."""

import sys

from p3d.caffe.install import install

del sys.modules["caffe"]  # this one; who imports it gets the one that takes its place
install()
