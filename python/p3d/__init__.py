"""Pseudo-3D residual networks: features, the pycaffe interface and the nets."""

__version__ = "0.1.0"
