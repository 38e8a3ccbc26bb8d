"""Which net belongs to these weights, and what its classes are called."""

from __future__ import annotations

import difflib
import os
from typing import Any, NamedTuple

from p3d import labels as label_lists
from p3d import models
from p3d.error import Error

Path = str | os.PathLike[str]


class Loaded(NamedTuple):
    """A net with its weights (the interface of pycaffe's Net)."""

    net: Any
    labels: list[str] | None
    about: dict[str, Any]  # names of net and weights, ready for JSON


def load_net(
    weights: Path | None,
    net: Any = None,
    *,
    labels: Path | None = None,
    relax_reshape: bool = False,
) -> Loaded:
    """Loads `weights` into `net`: a prototxt, a name of `p3d.models`, a net, or None for the fit.

    `labels` is a file or the name of a list; None takes the list that belongs to the weights.
    """
    if net is not None and not isinstance(net, str | os.PathLike):
        names = None if labels is None else label_lists.load(labels)
        return Loaded(net, names, {"net": getattr(net, "name", None), "weights": None})
    if weights is None:
        raise Error("weights are missing: name a .caffemodel (or .caffemodel.h5)")
    weights = os.fspath(weights)
    layers = _layers(weights)
    fit = models.fit(layers)
    name, prototxt = _prototxt(weights, layers, fit, net)
    if labels is None and fit is not None:
        labels = fit.labels

    from p3d import caffe

    loaded = caffe.Net(prototxt, caffe.TEST, weights=weights, relax_reshape=relax_reshape)
    about = {"net": name, "weights": os.path.abspath(weights)}
    return Loaded(loaded, None if labels is None else label_lists.load(labels), about)


def _prototxt(weights: str, layers: Any, fit: Any, net: Path | None) -> tuple[str, str]:
    """(what to call the net, its prototxt: path or text)."""
    if net is not None and os.path.exists(net):
        return os.path.abspath(net), os.fspath(net)
    if net is not None and net not in models.names():
        close = difflib.get_close_matches(os.fspath(net), models.names(), n=1)
        hint = f"did you mean {close[0]}?" if close else "see `p3d models`"
        raise Error(f"{os.fspath(net)}: there is no such prototxt, and no net of that name; {hint}")
    if fit is not None and net in (None, fit.name):
        return str(fit), models.prototxt(fit.name, **fit.options())
    if net is not None:
        return os.fspath(net), models.prototxt(os.fspath(net))
    near, differences = models.nearest(layers)
    raise Error(
        f"{weights}: these weights fit no net that is known here; {near} comes nearest, but "
        f"{'; '.join(differences[:2])}{' ...' if len(differences) > 2 else ''}. Name their net: "
        "--net deploy.prototxt"
    )


def _layers(weights: str) -> list[tuple[str, list[tuple[int, ...]]]]:
    """(layer name, blob shapes) of a weights file."""
    from p3d.caffe.weight_file import open_weights

    with open_weights(weights) as file:
        return [
            (name, [shape for shape in shapes if shape is not None])
            for name, _, shapes in file.layers
        ]
