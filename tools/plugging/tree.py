"""A Caffe source tree: recognising one, reading it, refusing what the layers cannot live in."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Iterator

from .refusal import Refusal
from .text import line_of, plain, without_comments

PROTO = "src/caffe/proto/caffe.proto"
FACTORY = "src/caffe/layer_factory.cpp"
_LAYER = "include/caffe/layer.hpp"
_CONVOLUTION = "include/caffe/layers/conv_layer.hpp"
_MARKS = (PROTO, FACTORY, _LAYER)
_SOURCES = (".cpp", ".cu", ".hpp", ".h", ".cuh", ".proto", ".cmake", ".txt")


class Tree:
    """Paths are relative to the root, with slashes, whatever the system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Where a file lies or would lie.

        Raises Refusal where a symbolic link leads out of the tree: what is there is not this
        tree's to change.
        """
        path = self.root / name
        real = Path(os.path.realpath(str(path)))
        if self.root not in real.parents:
            raise Refusal(
                f"{path} lies outside of the tree, in {real}, through a symbolic link. "
                "Replace the link by a copy, or name the tree that the link points into."
            )
        return real

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None if there is none."""
        path = self.path(name)
        return path.read_bytes() if path.is_file() else None

    def text(self, name: str) -> str:
        """A file's text with plain newlines, "" if there is none."""
        return plain(self.read(name) or b"")

    def sources(self, *folders: str) -> Iterator[str]:
        """Source files under these folders, in order."""
        for folder in folders:
            for where, folders_in, names in os.walk(str(self.root / folder)):
                folders_in.sort()
                for name in sorted(names):
                    if name.endswith(_SOURCES):
                        yield Path(where, name).relative_to(self.root).as_posix()


def open_tree(name: str, strict: bool = True) -> Tree:
    """The tree at a path, which may be a symbolic link to it.

    Raises Refusal for what is no Caffe tree and, if `strict`, for one that has a merge half done.
    """
    path = Path(name)
    if not path.exists():
        raise Refusal(f"{name} does not exist.")
    if not path.is_dir():
        raise Refusal(f"{name} is a file. Give the top folder of a Caffe source tree.")
    tree = Tree(Path(os.path.realpath(str(path))))
    missing = [mark for mark in _MARKS if not (tree.root / mark).is_file()]
    if missing:
        raise Refusal(f"{name} is no Caffe source tree: it has no {missing[0]}.{_meant(tree.root)}")
    if strict:
        _check_merge(tree)
    return tree


def _meant(root: Path) -> str:
    around = [*root.parents, *sorted(child for child in root.iterdir() if child.is_dir())]
    for other in around:
        if all((other / mark).is_file() for mark in _MARKS):
            return f" Did you mean {other}?"
    return ""


def _check_merge(tree: Tree) -> None:
    left = [
        name
        for name in [*tree.sources("src", "include", "cmake"), "Makefile", "CMakeLists.txt"]
        if re.search(r"^(<{7} |>{7} )", tree.text(name), re.MULTILINE)
    ]
    if left:
        raise Refusal(
            "A merge is half done in this tree: conflict markers (<<<<<<<) in "
            f"{', '.join(left)}. Resolve them first."
        )


def check_layers(tree: Tree) -> None:
    """Raises Refusal for a tree that P3D's layers cannot live in.

    It has another kind of layers than Caffe's, or convolutions from before they had any number of
    axes.
    """
    _check_types(tree)
    _check_age(tree)


def _check_types(tree: Tree) -> None:
    text = without_comments(tree.text(_LAYER))
    template = re.search(r"\btemplate\s*<([^<>]*)>\s*class\s+Layer\b", text)
    if template and "," in template[1]:
        raise Refusal(
            f"{tree.root / _LAYER}: layers are made for several types of numbers at once here, "
            f"<{' '.join(template[1].split())}>, as in NVIDIA's Caffe 0.16 and 0.17 and the last "
            "OpenCL branch. P3D's layers have one type, as in Caffe 1.0, its master and NVIDIA's "
            "0.15: plug into one of those."
        )


def _check_age(tree: Tree) -> None:
    text = without_comments(tree.text(PROTO))
    if not re.search(r"\bmessage\s+BlobShape\b", text):
        raise Refusal(
            f"{tree.root / PROTO} has no BlobShape: in a Caffe this old (before March 2015) "
            "blobs have four axes, and P3D's need five. Merge a newer upstream first."
        )
    if not re.search(r"\brepeated\s+uint32\s+kernel_size\b", text):
        raise Refusal(
            f"{tree.root / PROTO}: convolutions have two spatial axes in a Caffe this old (before "
            "September 2015), and P3D's need three. Merge a newer upstream first."
        )
    if not tree.text(_CONVOLUTION) or not re.search(r"\brepeated\s+uint32\s+dilation\b", text):
        raise Refusal(
            f"{tree.root}: convolutions have no dilation, or no header {_CONVOLUTION}, in a Caffe "
            "this old (before January 2016). Merge a newer upstream first."
        )


def registered(tree: Tree) -> dict[str, dict[str, int]]:
    """Layer types by the files that register them, and the lines that do."""
    found: dict[str, dict[str, int]] = {}
    for name in tree.sources("src"):
        if name.endswith((".cpp", ".cu")):
            text = without_comments(tree.text(name))
            for match in REGISTRATION.finditer(text):
                line = line_of(text, match.start())
                found.setdefault(match["type"], {})[name] = line
    return found


#: One registration of a layer type.
REGISTRATION = re.compile(r"\bREGISTER_LAYER_(?:CLASS|CREATOR)\s*\(\s*(?P<type>\w+)[^;]*;")
