"""Results of `p3d extract` as pictures.

timeline  clips along time with their likeliest classes, as one picture
overlay   the video itself with the classes written into it
drawing   text, bars and lines on images
"""
