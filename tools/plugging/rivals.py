"""Layers of the same type that a tree has already.

Two registrations of one type abort every program of a Caffe at its start, so there is a decision
to make for each type:

* the layers that were published with P3D give way: ours are theirs to rounding. Those that a fork
  gave another parameter or method since, such as a Pooling3D with SUM, are no longer these
* C3D's Convolution3D reads other parameters; it keeps its name, and ours serves the layer type
  Convolution alone, which is what P3D's nets say
* another BN or Pooling3D (TSN's BN has blobs of 1xCx1x1 and takes 4 axes) is a person's decision:
  refused, unless --replace says to take the type from it

A class or a file that is in the way but not registered only makes ours take other names.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Callable, NamedTuple

from .draft import Draft
from .files import FORWARD, disabled, renamed, unregistered
from .refusal import Refusal
from .text import without_comments
from .tree import registered


class Layer(NamedTuple):
    """One of our layer types."""

    type: str
    stem: str
    published: Callable[[str], bool]  # whether a source is the published layer's
    keeps: bool  # whether a rival keeps the type


def _published_bn(text: str) -> bool:
    return "bn_param().frozen()" in text and bool(
        re.search(r"width_ = bottom\[0\]->count\(2\)", text)
    )


def _published_pooling(text: str) -> bool:
    return "pooling3d_param()" in text and "kernel_l()" in text


LAYERS = (
    Layer("BN", "bn_layer", _published_bn, False),
    Layer("Pooling3D", "pooling3d_layer", _published_pooling, False),
    Layer("Convolution3D", "convolution3d_layer", lambda text: False, True),
)


def make_room(
    draft: Draft, copies: dict[str, str], replace: list[str], more: dict[str, list[str]]
) -> dict[str, str]:
    """The copies as they can be in this tree; edits the draft where rivals have to give way.

    replace  types that are taken from rivals
    more     what messages of the tree have besides: see proto_merge.Merged

    Raises Refusal where a person has to decide.
    """
    types = registered(draft.tree)
    for layer in LAYERS:
        rivals = [name for name in types.get(layer.type, {}) if not draft.is_ours(name)]
        in_the_way = _in_the_way(draft, layer)
        if not rivals and not in_the_way:
            continue
        besides = more.get(f"{layer.type}Parameter", [])
        if not besides and any(layer.published(_code(draft, name)) for name in in_the_way):
            _give_way(draft, layer, rivals, in_the_way)
            continue
        copies = renamed(copies, layer.type, layer.stem)
        if not rivals:
            continue
        if layer.type in replace:
            for name in rivals:
                draft.edit(name, partial(disabled, type_name=layer.type))
            draft.notes.append(
                f"{layer.type} is ours now; the one in {', '.join(rivals)} is compiled but has no "
                "type. Nets that were trained with it may not load"
            )
        elif layer.keeps:
            copies = unregistered(copies, layer.type)
            draft.notes.append(
                f"{layer.type} stays the layer in {', '.join(rivals)}; ours serves Convolution "
                "with three spatial axes"
            )
        else:
            line = types[layer.type][rivals[0]]
            raise Refusal(_question(layer, rivals[0], line, besides))
    return copies


def _question(layer: Layer, name: str, line: int, besides: list[str]) -> str:
    it_has = f" ({layer.type}Parameter has {', '.join(besides)} besides)" if besides else ""
    return (
        f"{name}, line {line}, registers a {layer.type} that is not the one P3D was published "
        f"with{it_has}, and Caffe aborts when a type is registered twice. Its nets and P3D's "
        f"cannot share a build: `--replace {layer.type}` gives the type to ours (--undo gives it "
        "back), or plug into another tree."
    )


def _in_the_way(draft: Draft, layer: Layer) -> list[str]:
    """Files of the tree that declare our class or have our files' names."""
    names = tuple(f"/{layer.stem}{suffix}" for suffix in (".hpp", ".cpp", ".cu"))
    names += (f"/test_{layer.stem}.cpp",)
    found = []
    for name in draft.tree.sources("include", "src"):
        text = draft.text(name)
        declares = f"class {layer.type}Layer" in text and _declares(_code(draft, name), layer)
        if not draft.is_ours(name) and (declares or name.endswith(names)):
            found.append(name)
    return found


def _declares(code: str, layer: Layer) -> bool:
    return bool(re.search(rf"\bclass {layer.type}Layer\s*[:{{]", code))


def _code(draft: Draft, name: str) -> str:
    return without_comments(draft.text(name))


def _give_way(draft: Draft, layer: Layer, rivals: list[str], files: list[str]) -> None:
    """Removes the published layer; its header, wherever it was, leads to ours."""
    forward = f'{FORWARD}#include "caffe/layers/{layer.stem}.hpp"\n'
    for name in files:
        if not name.endswith(".hpp"):
            draft.remove(name)
        elif name.endswith(f"/{layer.stem}.hpp"):
            draft.edit(name, lambda _: forward)
        else:
            raise Refusal(
                f"{name} declares the published {layer.type}Layer among other classes. Move that "
                "class out of it (or remove it), then try again."
            )
    for name in rivals:
        if name not in files:
            draft.edit(name, partial(disabled, type_name=layer.type))
    draft.notes.append(f"the published {layer.type} in {', '.join(files)} gives way to ours")
