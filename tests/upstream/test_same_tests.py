"""The tests of the pycaffe interface and of what stands on it, on the backend upstream."""

from __future__ import annotations

import re

import pytest

# Each in a process of its own, since a failed check of Caffe's ends it: (file, tests at least).
FILES = {
    "tests/caffe/test_pycaffe.py": 40,
    "tests/caffe/test_classifier.py": 5,
    "tests/cli/test_time.py": 3,
    "tests/test_extract_end_to_end.py": 10,
    "tests/test_random_weights.py": 3,
}


@pytest.mark.parametrize("plugged", ["debian"], indirect=True)  # pycaffe is the same in both
@pytest.mark.parametrize("file", FILES)
def test_on_upstream(file: str, plugged) -> None:
    options = ["-q", "-ra", "-p", "no:cacheprovider", "-W", "default"]
    report = plugged.run("-m", "pytest", *options, file, backend="upstream")
    passed = re.search(r"(\d+) passed", report)
    assert passed, report
    assert int(passed[1]) >= FILES[file], f"too few tests ran on this backend:\n{report}"
