"""The parts of tools/benchmark.py.

files      the same net and weights in every system's format
systems    how each system loads them and runs them
training_files, training_systems
           the same for a step of training
torch_net  a net of Caffe as a torch module, for want of a file format that both read
geometry   windows and products of convolutions and poolings
worker     one process per system
race       checks results, then takes turns
extraction how systems extract a folder of videos, for tools/benchmark_extraction.py
machine    what it all ran on
"""
