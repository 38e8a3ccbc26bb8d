"""What feeds nets in training: the layers that read lists, images, HDF5 files and videos.

Every choice at random is drawn from (seed, epoch, item), so what an item becomes depends neither
on the items before it nor on who reads it; a layer's state is a seed and a place.
"""
