"""How the authors trained: the solver of a named net, and the numbers in it.

Published are the batch, the learning rate and, for UCF-101 and Sports-1M, its schedule (sections
3.3 and 4 of the paper), Kinetics' dropout and the learning rates of single layers (the released
prototxts). All the rest is ours, and the solver says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from p3d.error import Error
from p3d.models.registry import Entry, entry
from p3d.models.text import Message, Word, fields

#: Clips of one update: published.
CLIPS = 128


@dataclass(frozen=True)
class Schedule:
    """Iterations of `CLIPS` clips. `source` says who chose them; `tested` videos make a test."""

    stepsize: int
    max_iter: int
    source: str
    tested: int
    test_interval: int


_SCHEDULES = {
    "kinetics": Schedule(
        60_000,
        190_000,
        "ours: Sports-1M's steps, up to the iteration in the released file's name",
        tested=20_000,
        test_interval=10_000,
    ),
    "sports1m": Schedule(60_000, 150_000, "published", tested=20_000, test_interval=10_000),
    "ucf101": Schedule(3_000, 7_500, "published", tested=3_783, test_interval=500),
    "hmdb51": Schedule(3_000, 7_500, "ours, as on UCF-101", tested=1_530, test_interval=500),
}


def _schedule(known: Entry, trained: int | None, tested: int | None) -> Schedule:
    schedule = _SCHEDULES[known.dataset]
    if trained is not None:
        schedule = _of_own_videos(trained, schedule.tested)
    elif known.flow and schedule.source == "published":
        schedule = replace(schedule, source="ours, as with frames")
    return schedule if tested is None else replace(schedule, tested=tested)


def _of_own_videos(trained: int, tested: int) -> Schedule:
    """As UCF-101's, whose 7,500 updates see 9,537 videos 100 times; of few videos some more.

    The rate falls after 40 % of them. A tenth is between tests, so that the last one is at the end.
    """
    tenth = max(20, -(-10 * trained // CLIPS))
    source = f"ours: {10 * tenth * CLIPS // trained:,} passes over {_videos(trained)}"
    return Schedule(4 * tenth, 10 * tenth, source, tested, test_interval=tenth)


def test_batch(batch: int, tested: int | None) -> int:
    """Clips at once in a test of `tested` videos: `batch`, or fewer that few videos count twice.

    A list that ends within a batch starts anew; that may be less than a percent of it.
    """
    if tested is None:
        return batch
    return next(size for size in range(batch, 0, -1) if -tested % size * 100 < tested)


def _videos(count: int) -> str:
    return f"{count:,} video{'s' * (count != 1)}"


def solver(
    name: str, folder: str, batch: int, trained: int | None = None, tested: int | None = None
) -> str:
    """The solver prototxt of the net `name`, whose train_val.prototxt lies in `folder`.

    `batch` is the number of clips that the net takes at once; as many of them as make `CLIPS` are
    summed up. `trained` and `tested` are the numbers of videos of own lists (None: the data set's).
    """
    if not 1 <= batch <= CLIPS or CLIPS % batch:
        raise Error(f"batch is {batch}: an update takes {CLIPS} clips, which must be a multiple")
    known = entry(name)
    schedule = _schedule(known, trained, tested)
    parts: list[tuple[str, Message]] = [
        ("", {"net": f"{folder}/train_val.prototxt"}),
        (f"{CLIPS} clips per update: published", {"iter_size": CLIPS // batch}),
        ("published", {"base_lr": 0.001, "lr_policy": "step", "gamma": 0.1}),
        (schedule.source, {"stepsize": schedule.stepsize, "max_iter": schedule.max_iter}),
        ("ours", {"momentum": 0.9, "weight_decay": 0.0005}),
        (
            f"ours: one clip of each of {_videos(schedule.tested)}",
            {
                "test_iter": -(-schedule.tested // test_batch(batch, tested)),
                "test_interval": schedule.test_interval,
                "test_initialization": False,
            },
        ),
        (
            "ours",
            {
                "display": 10,
                "average_loss": 10,
                "snapshot": schedule.test_interval,
                "snapshot_prefix": f"{folder}/{name.replace('-', '_')}",
            },
        ),
        ("GPU where Caffe has one", {"solver_mode": Word("CPU")}),
    ]
    data = known.summary.rpartition(", ")[0]  # the net may have other classes
    title = (
        f"# {data}; `p3d init` makes start weights from a 2-D ResNet\n"
        f"# p3d train --solver {folder}/solver.prototxt --weights start.caffemodel\n"
    )
    return title + "".join(
        (f"# {comment}\n" if comment else "") + fields(message) for comment, message in parts
    )
