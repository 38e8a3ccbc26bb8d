"""What tests of several rooms share."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from real_video import real_video

from p3d.caffe.backend import current, interface

__all__ = ["backend", "real_video"]

# Before any net: some tests make theirs without p3d.caffe.
if os.environ.get("P3D_DEVICE"):
    interface()

# A shell ignores Ctrl-C for what it runs in the background, and so would all processes of tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Each of these files takes minutes.
LONG = ("test_same_tests.py", "test_ptx_machine.py", "test_kernels.py", "test_readme.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With -n: a file's tests stay in one process, for they may share what took long to make."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With -n: long files first, so that no process waits for one at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(autouse=True)
def backend(request: pytest.FixtureRequest) -> str:
    """What runs nets: embedded, or what P3D_BACKEND says (see upstream/test_same_tests.py)."""
    name = current()
    if name != "embedded" and request.node.get_closest_marker("embedded"):
        pytest.skip("what only the embedded engine promises")
    return name
