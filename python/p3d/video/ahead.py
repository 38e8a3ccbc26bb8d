"""Work ahead of the consumer in threads."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    *sources: Iterable[T],
    depth: int,
    idle: float | None = None,
    on_stop: Callable[[], object] = lambda: None,
) -> Generator[T | None, None, None]:
    """Yields the items of `sources`, each iterated by a thread of its own, as they come.

    The items of one source keep their order; at most `depth` of all wait. When none comes for
    `idle` seconds, None is yielded. An exception in a thread
    is raised here, after the items before it. When the consumer stops early (close, Ctrl-C),
    `on_stop` is called, for sources that need a push, and the threads stop at their next items;
    they are waited for, for some seconds.
    """
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(max(1, depth))
    stop = threading.Event()

    def put(kind: str, item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put((kind, item), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work(items: Iterable[T]) -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    threads = [
        threading.Thread(target=work, args=(items,), name="p3d-decode", daemon=True)
        for items in sources
    ]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            try:
                kind, item = ready.get(timeout=idle)
            except queue.Empty:
                yield None
                continue
            if kind == "error":
                raise item
            if kind == "end":
                running -= 1
            else:
                yield item
    finally:
        stop.set()
        if running:
            on_stop()
        for thread in threads:
            thread.join(timeout=5)


def in_order(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """`work` of each item, by so many threads, in the order of the items.

    Few more than two a thread are begun before their turn. An exception of `work` is raised in its
    turn, one of `items` at once; those in work are waited for then, and when the consumer stops
    early.
    """
    begun: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads, "p3d-work")
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) > 2 * threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
