"""Pseudo-3D residual networks: features, the pycaffe interface and the nets."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from p3d.error import Error

if TYPE_CHECKING:
    from p3d.extractor import Extractor, Features
    from p3d.input_check import check_input
    from p3d.video.clips import clips

__version__ = "0.1.0"
__all__ = ["Error", "Extractor", "Features", "__version__", "check_input", "clips"]

# Imported when they are asked for: `import p3d` and `p3d --help` stay fast.
_LATER = {
    "Extractor": "p3d.extractor",
    "Features": "p3d.extractor",
    "check_input": "p3d.input_check",
    "clips": "p3d.video.clips",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """With what has not been asked for yet, for those who complete names."""
    return sorted({*globals(), *__all__})
