"""The whole plug-in as changes of a draft."""

from __future__ import annotations

from pathlib import Path

from . import build, factory, files
from .draft import Draft
from .proto_merge import merge
from .refusal import Refusal
from .rivals import make_room
from .tree import FACTORY, PROTO, check_layers

#: The folder of the layers in this repository.
LAYERS = Path(__file__).resolve().parents[2] / "layers"


def plug(draft: Draft, replace: list[str], layers: Path | None = None) -> None:
    """Adds the layers to a tree.

    replace  layer types to take from other layers of the tree
    layers   the folder that has them, if not this repository's

    Raises Refusal where that cannot be done.
    """
    check_layers(draft.tree)
    layers = layers or LAYERS
    fragment = (layers / "caffe" / "proto" / "p3d.proto").read_text()
    merged = merge(draft.text(PROTO), fragment, PROTO)
    draft.edit(PROTO, lambda _: merged.text)
    draft.notes += merged.notes
    copies = files.collect(layers)
    insertion = (layers / "caffe" / "factory.txt").read_text()
    copies["factory"] = insertion  # it names a class and a header that may have to be renamed
    copies = make_room(draft, copies, replace, merged.more)
    insertion = copies.pop("factory")
    extended = factory.extend(draft.text(FACTORY), insertion, FACTORY)
    draft.edit(FACTORY, lambda _: extended.text)
    draft.notes += extended.notes
    for name, text in copies.items():
        if draft.read(name) is not None and not draft.is_ours(name):
            raise Refusal(f"{name} is there already, and not ours. Rename it, then try again.")
        draft.put(name, text.encode())
    _remove_stale(draft)
    build.prepare(draft)


def _remove_stale(draft: Draft) -> None:
    """Copies of an older version that this one no longer has."""
    for name in draft.tree.sources("include", "src"):
        if name not in draft.copies and draft.text(name).startswith(files.STAMP):
            draft.remove(name)
