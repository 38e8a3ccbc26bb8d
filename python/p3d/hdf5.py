"""The optional package h5py."""

from __future__ import annotations

from types import ModuleType

from p3d.error import Error


def import_h5py(purpose: str) -> ModuleType:
    """The package h5py, or an Error that says how to get it."""
    try:
        import h5py
    except ImportError:
        raise Error(f"{purpose} needs h5py: pip install 'caffe-p3d[hdf5]'") from None
    return h5py
