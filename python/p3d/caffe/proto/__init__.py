"""Caffe's protobuf messages, as the module `caffe_pb2`."""

from . import caffe_pb2

__all__ = ["caffe_pb2"]
