"""From the layers of a prototxt to the layers that run: rules, checks, Split layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from p3d.error import Error
from p3d.wording import did_you_mean, shorten

from .proto import caffe_pb2

_Top = tuple[int, int]  # (index of the layer, index among its tops)

# Split layers multiply names, so that a hostile net could fill the memory with them.
MAX_NAME_LENGTH = 512
MAX_BLOB_USES = 200_000


def prepare(net: Any, phase: int, level: int = 0, stages: Sequence[str] = ()) -> Any:
    """A new NetParameter with the layers that exist in this phase, level and stages, of the
    class of `net`.

    Every layer has its phase set, and a blob that several layers read goes through a Split
    layer, with the names that Caffe gives. Raises Error for bottoms that no layer
    produces, tops produced twice, contradictory rules and layers without a type.
    """
    state = type(net.state)()
    state.CopyFrom(net.state)
    state.phase = phase
    state.level = level
    state.stage.extend(stages)
    present = frozenset(state.stage)
    filtered: list[Any] = []
    left_out: list[Any] = []
    for layer in net.layer:
        (filtered if is_included(layer, state, present) else left_out).append(layer)
    if not filtered:
        raise Error(
            f"none of the net's {len(net.layer)} layers exists in phase "
            f"{caffe_pb2.Phase.Name(phase)}, level {level}, stages {list(state.stage)}; "
            "compare their include and exclude rules"
        )
    if sum(len(layer.bottom) + len(layer.top) for layer in filtered) > MAX_BLOB_USES:
        raise Error(f"the net names more than {MAX_BLOB_USES} bottoms and tops")
    for layer in filtered:
        _check_layer(layer)
    prepared = type(net)()
    for field, value in net.ListFields():
        if field.name in ("name", "force_backward", "debug_info"):
            setattr(prepared, field.name, value)
    prepared.state.CopyFrom(state)
    _insert_splits(filtered, left_out, prepared)
    for layer in prepared.layer:
        if not layer.HasField("phase"):
            layer.phase = phase
    _check_tops(prepared)
    return prepared


def is_included(layer: Any, state: Any, stages: frozenset[str]) -> bool:
    """Whether a layer exists in this phase and level; `stages` are the state's."""
    if layer.include and layer.exclude:
        raise Error(f"layer '{shorten(layer.name)}' has include and exclude rules; keep one kind")
    if layer.include:
        return any(_holds(rule, state, stages) for rule in layer.include)
    return not any(_holds(rule, state, stages) for rule in layer.exclude)


def _holds(rule: Any, state: Any, stages: frozenset[str]) -> bool:
    return bool(
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )


def _check_layer(layer: Any) -> None:
    name = shorten(layer.name)
    for text in (layer.name, *layer.bottom, *layer.top):
        if len(text) > MAX_NAME_LENGTH:
            raise Error(
                f"layer '{name}' uses a name of {len(text)} characters; at most "
                f"{MAX_NAME_LENGTH} are allowed"
            )
    if not layer.type:
        raise Error(f"layer '{name}' has no type; give it one, as type: \"ReLU\"")
    if layer.propagate_down and len(layer.propagate_down) != len(layer.bottom):
        raise Error(
            f"layer '{name}' has {len(layer.propagate_down)} propagate_down for "
            f"{len(layer.bottom)} bottoms; give one for each or none"
        )
    if layer.type == "Clip" and not all(map(layer.clip_param.HasField, ("min", "max"))):
        raise Error(f"layer '{name}': clip_param needs both min and max")


def _insert_splits(layers: Sequence[Any], left_out: Sequence[Any], prepared: Any) -> None:
    """Copies the layers, each followed by a Split for every top that is used more than
    once; use as a loss counts as one."""
    sources, uses = _find_sources(layers, left_out)
    next_split: Counter[_Top] = Counter()
    for i, layer in enumerate(layers):
        copy = prepared.layer.add()
        copy.CopyFrom(layer)
        for j, blob in enumerate(layer.bottom):
            source = sources[i, j]
            if uses[source] > 1:
                prefix = _split_prefix(layers[source[0]].name, blob, source[1])
                copy.bottom[j] = f"{prefix}_{next_split[source]}"
                next_split[source] += 1
        for j, blob in enumerate(layer.top):
            if uses[i, j] > 1:
                split = _add_split(prepared, layer.name, blob, j, uses[i, j])
                loss_weight = layer.loss_weight[j] if j < len(layer.loss_weight) else 0
                if loss_weight:
                    # The first of the split blobs stands for the loss from here on.
                    split.loss_weight.extend([loss_weight] + [0] * (uses[i, j] - 1))
                    del copy.loss_weight[:]
                    next_split[i, j] += 1


def _find_sources(
    layers: Sequence[Any], left_out: Sequence[Any]
) -> tuple[dict[_Top, _Top], Counter[_Top]]:
    """Which top each bottom (i, j) reads, and how often each top is used."""
    sources: dict[_Top, _Top] = {}
    uses: Counter[_Top] = Counter()
    latest: dict[str, _Top] = {}
    for i, layer in enumerate(layers):
        for j, blob in enumerate(layer.bottom):
            if blob not in latest:
                fault = (
                    f"layer '{shorten(layer.name)}' reads an unknown bottom blob '{shorten(blob)}'"
                )
                raise Error(fault + _where_is(blob, latest, layers[i:], left_out))
            sources[i, j] = latest[blob]
            uses[latest[blob]] += 1
        for j, blob in enumerate(layer.top):
            latest[blob] = (i, j)
        for blob, loss_weight in zip(layer.top, layer.loss_weight, strict=False):
            if loss_weight:
                uses[latest[blob]] += 1
    return sources, uses


def _where_is(
    blob: str, known: Iterable[str], later: Sequence[Any], left_out: Sequence[Any]
) -> str:
    """What may be meant by, or have become of, a bottom blob that is not there."""
    for layer in later:
        if blob in layer.top:
            return f"; layer '{shorten(layer.name)}' makes it, but only further down"
    for layer in left_out:
        if blob in layer.top:
            return (
                f"; layer '{shorten(layer.name)}' makes it, but its include or exclude rules "
                "leave it out in this phase, level and stages"
            )
    return did_you_mean(blob, known) or "; no layer above has it as a top"


def _split_prefix(layer: str, blob: str, top: int) -> str:
    return f"{blob}_{layer}_{top}_split"


def _add_split(net: Any, layer: str, blob: str, top: int, count: int) -> Any:
    prefix = _split_prefix(layer, blob, top)
    tops = [f"{prefix}_{k}" for k in range(count)]
    return net.layer.add(name=prefix, type="Split", bottom=[blob], top=tops)


def _check_tops(net: Any) -> None:
    """Every blob has one producer; only the layer that reads it may write it in place."""
    producers: dict[str, str] = {}
    for layer in net.layer:
        for j, blob in enumerate(layer.top):
            in_place = j < len(layer.bottom) and layer.bottom[j] == blob
            if blob in producers and not in_place:
                raise Error(
                    f"layer '{shorten(layer.name)}' has the top '{shorten(blob)}', which layer "
                    f"'{shorten(producers[blob])}' has too; give it another name (a layer can "
                    "work in place only on a blob that no other layer reads at that point)"
                )
            producers[blob] = layer.name
