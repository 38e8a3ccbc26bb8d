"""Pseudo-3D residual networks: features, the pycaffe interface and the nets."""

from p3d.error import Error

__version__ = "0.1.0"
__all__ = ["Error", "__version__"]
