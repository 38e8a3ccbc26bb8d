"""Features of many videos as files: nothing lost, nothing wrong, nothing made twice.

output    what is written of a video, and how
rows      a .npy file that grows row by row
result    the files of one video, from its first row to its place on the disk
done      what is complete already
failures  failed.jsonl
report    what a person, or a program, is told meanwhile
runner    videos through the extractor to files
shard     a part of the videos for each of several machines
"""
