"""The parts of tools/gpu_check.py.

machine      what the machine lacks, and what its GPU is
running      programs and what they print
kernels      the test programs and benchmarks of tests/kernels and tools
nets         tests of nets, how long nets take, how convolutions are done
comparisons  P3D-199 and torch by turns, and what is asked of that
videos       from video files to features, and to a training's updates
in_caffe     the layers' own tests in a Caffe with CUDA
"""
