"""The nets by name. A family of nets adds a table of `Entry`; nothing else knows the families."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from p3d.error import Error
from p3d.models import p3d
from p3d.models.feed import Feed
from p3d.models.net import Net
from p3d.wording import did_you_mean


@dataclass(frozen=True)
class Entry:
    """One named net.

    `defaults` is the family's options as the net was published, `build` makes a deploy net of
    them, `build_training` a net that learns from a feed. `summary` says which net and data.
    """

    summary: str
    dataset: str
    defaults: Any
    build: Callable[[Any], Net]
    build_training: Callable[[Any, Feed], Net]
    check: Callable[[Any], None]
    channels: int
    flow: bool
    labels: str | None
    max_length: int


def entry(name: str) -> Entry:
    """The entry of that name; an unknown one is a p3d.Error with a hint."""
    if name in ENTRIES:
        return ENTRIES[name]
    raise Error(f"no net is called {name!r}{hint(name)}")


def hint(name: str) -> str:
    """The end of an error: what somebody who named no known net may have meant."""
    return did_you_mean(name, ENTRIES) or "; see `p3d models`"


def options(name: str, **changes: Any) -> Any:
    """The options of a named net; changes that are None keep the published value."""
    known = entry(name).defaults
    chosen = replace(known, **{k: v for k, v in changes.items() if v is not None})
    entry(name).check(chosen)
    return chosen


def _flow(classes: int, head: str, dropout: float) -> p3d.Data:
    """Flow nets that nobody published."""
    return p3d.Data(classes, head, dropout, 2, flow=True, dropout_by="ours, as with frames")


_DATA = {
    "kinetics": p3d.Data(400, "fc_kinetics", 0.5, channels=3),
    "kinetics-flow": p3d.Data(400, "fc_kinetics", 0.7, channels=2, flow=True),
    "sports1m": p3d.Data(487, "fc_sports1m", 0.1, channels=3),
    "sports1m-flow": _flow(487, "fc_sports1m", 0.1),
    "ucf101": p3d.Data(101, "fc_ucf101", 0.9, channels=3),
    "ucf101-flow": _flow(101, "fc_ucf101", 0.9),
    "hmdb51": p3d.Data(51, "fc_hmdb51", 0.9, channels=3, dropout_by="ours, as on UCF-101"),
    "hmdb51-flow": _flow(51, "fc_hmdb51", 0.9),
}
_TITLES = {
    "kinetics": "Kinetics-400",
    "sports1m": "Sports-1M",
    "ucf101": "UCF-101",
    "hmdb51": "HMDB-51",
}


def _p3d_entries() -> Iterator[tuple[str, Entry]]:
    for depth, units in reversed(p3d.UNITS.items()):
        for key, data in _DATA.items():
            yield f"p3d{depth}-{key}", _p3d_entry(depth, units, key, data)


def _p3d_entry(depth: int, units: tuple[int, int, int, int], key: str, data: p3d.Data) -> Entry:
    dataset = key.removesuffix("-flow")
    trained_on = f"{_TITLES[dataset]}, {'optical flow' if data.flow else 'frames'}"
    plain = key.upper().replace("-", "_")
    title = f"P3D{'' if depth == 199 else depth}_RESNET_{plain}"
    defaults = p3d.Options(
        units=units,
        numbered=depth > 63,
        classes=data.classes,
        head=data.head,
        crop=(160, 160),
        length=p3d.MAX_LENGTH,
        batch=1,
        kinds="ABC",
        any_length=False,
    )
    return Entry(
        summary=f"P3D-{depth}, {trained_on}, {data.classes} classes",
        dataset=dataset,
        defaults=defaults,
        build=lambda chosen: p3d.build(f"DEPLOY_{title}", data, chosen),
        build_training=lambda chosen, feed: p3d.build_training(title, data, chosen, feed),
        check=p3d.check,
        channels=data.channels,
        flow=data.flow,
        labels="kinetics400" if data.classes == 400 else None,
        max_length=p3d.MAX_LENGTH,
    )


ENTRIES: dict[str, Entry] = dict(_p3d_entries())
