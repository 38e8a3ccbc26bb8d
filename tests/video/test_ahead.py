"""Working ahead: order, bounds, errors, early ends."""

from __future__ import annotations

import threading
import time

import pytest

from p3d.video.ahead import ahead, in_order


def alive() -> int:
    return sum(thread.name == "p3d-decode" for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_order_and_end(depth):
    assert list(ahead(range(57), depth=depth)) == list(range(57))
    assert list(ahead([], depth=depth)) == []
    assert list(ahead([None, None], depth=depth)) == [None, None]
    assert alive() == 0


def test_no_more_than_depth_in_advance():
    made = []

    def items():
        for index in range(20):
            made.append(index)
            yield index

    for taken, index in enumerate(ahead(items(), depth=3), 1):
        assert taken == index + 1
        # Those taken, three in the queue, one in the thread's hand, one on its way.
        assert len(made) <= taken + 3 + 2
        time.sleep(0.002)


def test_an_exception_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise KeyError("broken")

    got = []
    with pytest.raises(KeyError, match="broken"):
        got.extend(ahead(items(), depth=5))
    assert got == [1, 2]
    assert alive() == 0


def test_a_consumer_that_leaves_stops_the_thread_and_closes_its_source():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    stream = ahead(items(), depth=2)
    next(stream)
    stream.close()
    assert alive() == 0
    assert closed.wait(1)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_work_by_several_threads_comes_in_order(threads):
    def work(number):
        time.sleep(0.001 * (number % 3))
        return -number

    taken = []
    for result in in_order(work, (taken.append(i) or i for i in range(30)), threads):
        assert len(taken) <= -result + 1 + 2 * threads
    assert len(taken) == 30
    assert list(in_order(work, [], threads)) == []


def test_what_goes_wrong_in_a_thread_comes_in_its_turn_and_ends_the_threads():
    def work(number):
        return 1 // (number - 3)

    results = in_order(work, range(10), 2)
    assert [next(results) for _ in range(3)] == [1 // (number - 3) for number in range(3)]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [t for t in threading.enumerate() if t.name.startswith("p3d-work")]


def test_an_early_end_ends_the_threads():
    results = in_order(lambda number: number, range(1000), 3)
    assert next(results) == 0
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("p3d-work")]
