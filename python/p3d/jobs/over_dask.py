"""Extraction by the workers of a Dask cluster, which balances, retries and survives lost workers.

The client hands out small groups of videos and keeps the books; workers read videos and write
results, so both have to be on a disk that all of them see under the same paths. A worker loads the
weights once. A group whose worker is lost is given to another one, which skips what is complete:
results are the files that a single run makes.

What saturates first: a task costs client and scheduler together at most 19 ms of processor time
(measured on a busy core), so they keep up with 50 tasks, 200 videos a second. 100 workers that make
0.6 videos of ten seconds a second each need 15 tasks a second, but 60 videos read and 60 results
(165 kB and four syncs each) written on the disk that all share: the disk, not Dask.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any

from p3d.error import DiskFull, Error
from p3d.jobs.failures import Failures
from p3d.jobs.output import Output
from p3d.jobs.report import Report
from p3d.jobs.runner import Runner
from p3d.jobs.summary import Summary
from p3d.video.inputs import Item

GROUP = 4
"""Videos of one task: enough to decode one while another is in the net, few to be lost at once."""

_AHEAD = 2  # groups per worker that wait on the scheduler, so that none is idle
_RETRIES = 3  # of a group that raises


@dataclass(frozen=True)
class Settings:
    """What a worker has to know; all of it travels to its process."""

    extractor: dict[str, Any]  # arguments of p3d.Extractor
    output: Output
    out: str
    overwrite: bool = False
    threads: int | None = None
    backend: str = "embedded"  # see p3d.caffe.backend


@dataclass
class Outcome(Report):
    """What a worker says of a group: (kind, item, meta or error) in order, its summary, and whether
    the disk was full before its end."""

    said: list[tuple[str, Item, Any]] = field(default_factory=list)
    count: int = 0
    full: DiskFull | None = None

    def clips(self, count: int) -> None:
        self.count += count

    def done(self, item: Item, meta: dict[str, Any]) -> None:
        told = {key: meta[key] for key in ("blobs", "top") if key in meta}
        self.said.append(("done", item, told))

    def skipped(self, item: Item) -> None:
        self.said.append(("skipped", item, None))

    def failed(self, item: Item, error: str) -> None:
        self.said.append(("failed", item, error))


class _Unnoted(Failures):
    """The client notes failures."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, item: Item, error: str) -> None: ...

    def settle(self, item: Item) -> None: ...

    def close(self) -> None: ...


_lock = threading.Lock()  # a worker with several threads takes turns: the net uses all of them
_runners: dict[str, Runner] = {}


def extract_group(settings: Settings, items: list[Item]) -> Outcome:
    """Runs on a worker."""
    with _lock:
        key = repr(settings)
        if key not in _runners:
            _runners.clear()
            _runners[key] = _runner(settings)
        outcome = Outcome()
        try:
            _runners[key].run(items, outcome)
        except DiskFull as error:  # Dask logs a page about what is raised, and tries it again
            outcome.full = error
        return outcome


def _runner(settings: Settings) -> Runner:
    from p3d.caffe import backend
    from p3d.extractor import ClipsWarning, Extractor

    if backend.current() != settings.backend:
        backend.choose(settings.backend)
    if settings.threads is not None:
        backend.set_num_threads(settings.threads)
    with warnings.catch_warnings():  # the client has said it, of its own extractor
        warnings.simplefilter("ignore", ClipsWarning)
        extractor = Extractor(**settings.extractor)
    return Runner(
        extractor, settings.output, settings.out, _Unnoted(), Outcome(), settings.overwrite
    )


@contextmanager
def _silent_from_ctrl_c_on() -> Iterator[None]:
    """Dask logs pages about what Ctrl-C breaks off, some of them in a thread of its own before the
    exception is seen."""
    silent = logging.root.manager.disable
    before: Any = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: Any) -> None:
        logging.disable()
        before(number, frame)

    ours = callable(before) and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)
        logging.disable(silent)


@contextmanager
def connect(address: str, threads: int) -> Iterator[tuple[Any, int | None]]:
    """A client of the cluster at `address` ("tcp://host:8786"), or of one made here: "local:4".

    Also the number of threads for the nets of the workers; `threads` are shared by those made here.
    """
    try:
        import distributed
    except ImportError as error:
        raise Error("--dask needs pip install 'caffe-p3d[dask]'") from error
    kind, _, count = address.partition(":")
    if kind != "local":
        if not address.rpartition(":")[2].isdigit():
            raise Error(f"--dask {address}: no scheduler answers there (it has no port: HOST:8786)")
        print(f"waiting for the scheduler at {address}", file=sys.stderr)
        try:
            client = distributed.Client(address)
        except (OSError, ValueError) as error:
            raise Error(f"--dask {address}: no scheduler answers there ({error})") from error
        with _silent_from_ctrl_c_on(), client:
            yield client, None
        return
    if count and not (count.isdigit() and int(count)):
        raise Error(f"--dask {address}: local:N has N processes, 1 or more")
    workers = int(count) if count else max(1, threads // 2)
    # Any port will do: without an address it asks for 8787, and warns where that is taken.
    options: dict[str, Any] = {"dashboard_address": ":0", "scheduler_kwargs": {"dashboard": False}}
    options |= {"processes": True, "threads_per_worker": 1}
    with _silent_from_ctrl_c_on(), ExitStack() as stack:
        with _ctrl_c_waits():
            cluster = distributed.LocalCluster(n_workers=workers, **options)
            stack.enter_context(cluster)
        client = stack.enter_context(distributed.Client(cluster))
        yield client, max(1, threads // workers)


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Until the end; processes that are started meanwhile, and later by threads of the meantime,
    never see it: a terminal sends it to them too, and each would say a page about it."""
    resource_tracker.ensure_running()  # when it starts it lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(
    client: Any,
    settings: Settings,
    items: Iterable[Item],
    failures: Failures,
    report: Report,
    summary: Summary,
) -> None:
    """All of them; memory does not grow with their number. The summary says how far it came,
    whatever ends it."""
    from distributed import as_completed

    summary.start()
    tell = _teller(summary, failures, report)
    groups = _groups(items)
    running = as_completed(loop=client.loop)
    given: dict[str, list[Item]] = {}
    futures: dict[str, Any] = {}

    def give() -> bool:
        group = next(groups, None)
        if group is None:
            return False
        future = client.submit(extract_group, settings, group, pure=False, retries=_RETRIES)
        given[future.key], futures[future.key] = group, future
        running.add(future)
        return True

    try:
        while len(given) < _AHEAD * max(1, len(client.nthreads())) and give():
            pass
        while given:
            future = next(running)
            del futures[future.key]
            tell(given.pop(future.key), future)
            give()
    finally:
        client.cancel(list(futures.values()))
        failures.close()
        summary.end({}, 0.0)


def _teller(
    summary: Summary, failures: Failures, report: Report
) -> Callable[[list[Item], Any], None]:
    """Notes and reports what a finished group says."""

    def tell(group: list[Item], future: Any) -> None:
        if future.status != "finished":
            error = future.exception()
            text = f"its workers failed or were lost ({type(error).__name__}: {error})"
            said: list[tuple[str, Item, Any]]
            said = [("failed", item, f"{item.path}: {text}") for item in group]
            full = None
        else:
            outcome = future.result()
            said, full = outcome.said, outcome.full
            summary.clips += outcome.count
            report.clips(outcome.count)
        for kind, item, what in said:
            setattr(summary, kind, getattr(summary, kind) + 1)
            if kind == "failed":
                failures.add(item, what)
                report.failed(item, what)
            else:
                failures.settle(item)
                report.done(item, what) if kind == "done" else report.skipped(item)
        if full is not None:
            raise full

    return tell


def _groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = (Item(os.path.abspath(item.path), item.name) for item in items)
    while group := list(islice(iterator, GROUP)):
        yield group
