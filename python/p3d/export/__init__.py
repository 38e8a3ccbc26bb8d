"""Nets for other runtimes: Caffe's layers and weights rewritten in their terms."""
