"""Which net belongs to these weights, and what its classes are called."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from p3d import labels as label_lists
from p3d import models
from p3d.error import Error

Path = str | os.PathLike[str]

PUBLISHED_LENGTH = 16
"""Frames of a clip of the published nets, the most that their 2-D res5 can see."""


class Loaded(NamedTuple):
    """A net with its weights (the interface of pycaffe's Net)."""

    net: Any
    labels: list[str] | None
    about: dict[str, Any]  # names of net and weights, ready for JSON
    unfilled: Sequence[str] = ()  # layers whose weights the file does not have


class Found(NamedTuple):
    """What to call a net, its prototxt (path or text), and the known net of its weights."""

    name: str
    prototxt: str
    fit: models.Fit | None


def load_net(
    weights: Path | None,
    net: Any = None,
    *,
    labels: Path | None = None,
    relax_reshape: bool = False,
    length: int | None = None,
    backward: bool = False,
) -> Loaded:
    """Loads `weights` into `net`: a prototxt, a name of `p3d.models`, a net, or None for the fit.

    `labels` is a file or the name of a list; None takes the list that belongs to the weights. Nets
    of `p3d.models` are made for clips of `length` frames (None: as published). With `backward` its
    inputs get gradients, those of what the net computes, whatever the prototxt says.
    """
    if net is not None and not isinstance(net, str | os.PathLike):
        names = None if labels is None else label_lists.load(labels)
        return Loaded(net, names, {"net": getattr(net, "name", None), "weights": None})
    if weights is None:
        raise Error("weights are missing: name a .caffemodel (or .caffemodel.h5)")
    weights = os.fspath(weights)
    options = {} if length is None or _is_file(net) else _for_length(length)
    found = find_net(weights, net, **options)
    if labels is None and found.fit is not None:
        labels = found.fit.labels

    from p3d import caffe
    from p3d.caffe.trained_on import trained_on

    with ThreadPoolExecutor(1) as beside:
        digest = beside.submit(sha256, weights)
        prototxt = _with_backward(found.prototxt) if backward else found.prototxt
        loaded = caffe.Net(
            prototxt,
            caffe.TEST,
            weights=weights,
            relax_reshape=relax_reshape,
            origin=os.fspath(net) if net is not None and _is_file(net) else None,
        )
    about: dict[str, Any] = {
        "net": found.name,
        "net_sha256": _sha256_of_net(found.prototxt),
        "weights": os.path.abspath(weights),
        "weights_sha256": digest.result(),
        "backend": caffe.backend.current(),
    }
    if (clips := trained_on(weights)) is not None:
        about["trained_on"] = clips
    names = None if labels is None else label_lists.load(labels)
    return Loaded(loaded, names, about, _unfilled(loaded, weights))


def check_filled(loaded: Loaded, blobs: Sequence[str]) -> None:
    """Raises Error if one of `blobs` is computed by layers whose weights the file does not have.

    Caffe leaves such layers as their fillers made them, which gives features that mean nothing.
    """
    if not loaded.unfilled:
        return
    needed, lacking = set(blobs), []
    for layer in reversed(list(loaded.net.layer_dict)):
        if needed.intersection(loaded.net.top_names[layer]):
            needed.update(loaded.net.bottom_names[layer])
            lacking += [layer] * (layer in loaded.unfilled)
    if lacking:
        first = ", ".join(lacking[::-1][:3]) + (" ..." if len(lacking) > 3 else "")
        raise Error(
            f"{loaded.about['weights']}: has no weights for {first}, which {', '.join(blobs)} of "
            f"{loaded.about['net']} come from; name the net of these weights (p3d info tells "
            "which), or ask for blobs before those layers"
        )


def find_net(weights: Path | None, net: Path | None = None, **options: Any) -> Found:
    """The net of these weights: a prototxt, a name of `p3d.models`, or None for the one that fits.

    `options` change a net of `p3d.models` (crop, length, batch...); a prototxt has its own.
    """
    layers = [] if weights is None else _layers(os.fspath(weights))
    fit = models.fit(layers)
    if net is not None and _is_file(net):
        return _file(os.fspath(net), fit, options)
    if fit is not None and net in (None, fit.name):
        text = models.prototxt(fit.name, **(fit.options() | options))
        return Found(str(fit), text, fit)
    if net is not None:
        return Found(os.fspath(net), models.prototxt(os.fspath(net), **options), fit)
    near, differences = models.nearest(layers)
    raise Error(
        f"{weights}: these weights fit no net that is known here; {near} comes nearest, but "
        f"{', '.join(differences[:2])}{', ...' * (len(differences) > 2)}; name their net: "
        "--net deploy.prototxt"
    )


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sha256_of_net(prototxt: str) -> str:
    text = prototxt.encode()
    return sha256(prototxt) if os.path.isfile(prototxt) else hashlib.sha256(text).hexdigest()


def _with_backward(prototxt: str) -> str:
    """The text of a prototxt, given by its path or text, with force_backward.

    A BN that is not frozen takes gradients for those of a batch's own statistics, in phase TEST,
    which uses the running ones, too; frozen it computes the same.
    """
    from p3d.caffe import prototxt as files

    is_file = os.path.isfile(prototxt)
    net = files.read_net(prototxt) if is_file else files.parse_net(prototxt)
    net.force_backward = True
    for layer in net.layer:
        if layer.type == "BN":
            layer.bn_param.frozen = True
    return str(net)


def _is_file(net: Path | None) -> bool:
    return net is not None and (os.path.exists(net) or net not in models.names())


def _for_length(length: int) -> dict[str, Any]:
    """Options of a net for such clips; longer ones than published need res5 in 3-D."""
    return {"length": length, **({"any_length": True} if length > PUBLISHED_LENGTH else {})}


def _file(net: str, fit: models.Fit | None, options: dict[str, Any]) -> Found:
    if not os.path.exists(net):
        hint = models.hint(net)
        raise Error(f"{net}: there is no such prototxt, and no net of that name{hint}")
    if options:
        changes = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise Error(f"{net} states its own input: change it there instead of by {changes}")
    return Found(os.path.abspath(net), net, fit)


def _unfilled(net: Any, weights: str) -> list[str]:
    """Layers with weights of their own that the file does not have."""
    from p3d.caffe.weights import shared_params

    stored = {name for name, shapes in _layers(weights) if shapes}
    shared = shared_params(net.param)
    return [
        name
        for name, blobs in net.params.items()
        if name not in stored and any((name, j) not in shared for j in range(len(blobs)))
    ]


def _layers(weights: str) -> list[tuple[str, list[tuple[int, ...]]]]:
    """(layer name, blob shapes) of a weights file."""
    from p3d.caffe.weight_file import open_weights

    with open_weights(weights) as file:
        return [
            (name, [shape for shape in shapes if shape is not None])
            for name, _, shapes in file.layers
        ]
