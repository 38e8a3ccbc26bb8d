"""Which files the tree gets, and what they look like there.

All of layers/caffe/include and layers/caffe/src, at the same place, and of layers/kernels what
those need: headers in include/caffe/p3d, sources in src/caffe/p3d, without the folders that they
come from. A source is needed when the header that it implements is, which is the first one of the
kernels that it includes.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from .tree import REGISTRATION

#: The first line of each copy. It tells copies from files of the tree.
STAMP = "// Copied from caffe-p3d by its tools/plug_into_caffe.py, which overwrites it.\n"

#: The first line of a header that was the published layer's and includes ours now.
FORWARD = "// Leads to caffe-p3d's layer since its tools/plug_into_caffe.py was run.\n"

#: What registers a layer whose class is not called by its type.
_CREATOR = """\
template <typename Dtype>
shared_ptr<Layer<Dtype> > CreateP3DTYPE(const LayerParameter& param) {
  return shared_ptr<Layer<Dtype> >(new P3DTYPELayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(TYPE, CreateP3DTYPE);
"""

_INCLUDE = re.compile(r'^\s*#\s*include\s+"kernels/([^"]+)"', re.MULTILINE)
_SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh"}


def collect(layers: Path) -> dict[str, str]:
    """The copies' texts by their paths in the tree. `layers` is the folder of this repository."""
    own = {
        path.relative_to(layers / "caffe").as_posix(): path.read_text()
        for part in ("include", "src")
        for path in sorted((layers / "caffe" / part).rglob("*"))
        if path.suffix in _SUFFIXES
    }
    kernels = {
        path.relative_to(layers / "kernels").as_posix(): path.read_text()
        for path in sorted((layers / "kernels").rglob("*"))
        if path.suffix in _SUFFIXES
    }
    needed = _closure(own, kernels)
    for name in sorted(needed):
        folder = "include" if name.endswith((".hpp", ".cuh")) else "src"
        own[f"{folder}/caffe/p3d/{PurePosixPath(name).name}"] = kernels[name]
    return {name: STAMP + _INCLUDE.sub(_here, text) for name, text in own.items()}


def _closure(own: dict[str, str], kernels: dict[str, str]) -> set[str]:
    needed: set[str] = set()
    found = {name for text in own.values() for name in _INCLUDE.findall(text)}
    while found:
        needed |= found
        implementing = {
            name
            for name, text in kernels.items()
            if name.endswith((".cpp", ".cu"))
            and needed.issuperset(_INCLUDE.findall(text)[:1] or [""])
        }
        included = {name for part in found for name in _INCLUDE.findall(kernels[part])}
        found = (included | implementing) - needed
    return needed


def _here(match: re.Match[str]) -> str:
    name = PurePosixPath(match[1]).name
    return match[0].replace(f'"kernels/{match[1]}"', f'"caffe/p3d/{name}"')


def is_ours(text: str) -> bool:
    """Whether a file of the tree was written by this tool."""
    return text.startswith((STAMP, FORWARD))


def renamed(copies: dict[str, str], type_name: str, stem: str) -> dict[str, str]:
    """The copies with one layer's class and files under other names: P3DBNLayer, p3d_bn_layer.

    For trees that have a class and files of the usual names already. The layer type stays.
    """
    registration = _CREATOR.replace("TYPE", type_name)
    out = {}
    for name, text in copies.items():
        path = PurePosixPath(name)
        text = re.sub(rf"\b{type_name}Layer", f"P3D{type_name}Layer", text)
        text = text.replace(f"REGISTER_LAYER_CLASS({type_name});\n", registration)
        text = text.replace(f"caffe/layers/{stem}.hpp", f"caffe/layers/p3d_{stem}.hpp")
        text = text.replace(f"CAFFE_{stem.upper()}_", f"CAFFE_P3D_{stem.upper()}_")
        out[str(path.with_name(path.name.replace(stem, f"p3d_{stem}")))] = text
    return out


def unregistered(copies: dict[str, str], type_name: str) -> dict[str, str]:
    """The copies without the registration of a layer type."""
    return {name: disabled(text, type_name) for name, text in copies.items()}


def disabled(text: str, type_name: str) -> str:
    """A source with its registration of a layer type made a comment."""

    def comment(match: re.Match[str]) -> str:
        return match[0] if match["type"] != type_name else "// caffe-p3d: " + one_line(match[0])

    def one_line(macro: str) -> str:
        return re.sub(r"\s+", " ", macro)

    parts = re.split(r"(//[^\n]*)", text)  # what is a comment stays as it is
    return "".join(p if p.startswith("//") else REGISTRATION.sub(comment, p) for p in parts)
