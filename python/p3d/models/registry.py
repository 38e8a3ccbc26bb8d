"""The nets by name. A family of nets adds a table of `Entry`; nothing else knows the families."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from p3d.error import Error
from p3d.models import p3d
from p3d.models.net import Net


@dataclass(frozen=True)
class Entry:
    """One named net.

    `defaults` is the family's options as the net was published, `build` makes a net of them.
    """

    summary: str
    defaults: Any
    build: Callable[[Any], Net]
    check: Callable[[Any], None]
    channels: int
    flow: bool
    labels: str | None
    max_length: int


def entry(name: str) -> Entry:
    """The entry of that name; an unknown one is a p3d.Error that lists what there is."""
    if name in ENTRIES:
        return ENTRIES[name]
    near = difflib.get_close_matches(name, ENTRIES, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise Error(f"no net is called {name!r}: {hint}There are {', '.join(ENTRIES)}.")


def options(name: str, **changes: Any) -> Any:
    """The options of a named net; changes that are None keep the published value."""
    known = entry(name).defaults
    chosen = replace(known, **{k: v for k, v in changes.items() if v is not None})
    entry(name).check(chosen)
    return chosen


_DATA = {
    "kinetics": p3d.Data(400, "fc_kinetics", 0.5, channels=3),
    "kinetics-flow": p3d.Data(400, "fc_kinetics", 0.7, channels=2, flow=True),
    "sports1m": p3d.Data(487, "fc_sports1m", 0.1, channels=3),
}
_TRAINED_ON = {
    "kinetics": "Kinetics-400, frames",
    "kinetics-flow": "Kinetics-400, optical flow",
    "sports1m": "Sports-1M, frames",
}


def _p3d_entries() -> Iterator[tuple[str, Entry]]:
    for depth, units in reversed(p3d.UNITS.items()):
        for key, data in _DATA.items():
            yield f"p3d{depth}-{key}", _p3d_entry(depth, units, key, data)


def _p3d_entry(depth: int, units: tuple[int, int, int, int], key: str, data: p3d.Data) -> Entry:
    plain = key.upper().replace("-", "_")
    title = f"DEPLOY_P3D{'' if depth == 199 else depth}_RESNET_{plain}"
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
        summary=f"P3D-{depth}, {_TRAINED_ON[key]}, {data.classes} classes",
        defaults=defaults,
        build=lambda chosen: p3d.build(title, data, chosen),
        check=p3d.check,
        channels=data.channels,
        flow=data.flow,
        labels="kinetics400" if data.classes == 400 else None,
        max_length=p3d.MAX_LENGTH,
    )


ENTRIES: dict[str, Entry] = dict(_p3d_entries())
