"""Every golden forward case of a single layer, with every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import build, check, load, names, passes

TOLERANCE = 1e-5
CASES = [f"{folder}/{name}" for folder in ("layers", "layers_more") for name in names(folder)]


@pytest.mark.parametrize("way", ["plan", "layers", "double"])
@pytest.mark.parametrize("name", CASES)
def test_forward(name: str, isa: str, way: str) -> None:
    case = load(*name.split("/", 1))
    net = build(case, way)
    for number, expected in enumerate(passes(case)):
        for i in range(int(case["n_bottom"])):
            net.blobs[f"b{i}"].data[...] = expected[f"bottom{i}"]
        net.forward()
        where = f"pass {number} of {name}, "
        for i, top in enumerate(case["tops"]):
            check(net.blobs[str(top)].data, expected[f"top{i}"], TOLERANCE, f"{where}top {i}")
        for key, value in expected.items():
            if key.startswith("param_after"):
                index = int(key.removeprefix("param_after"))
                check(net.params["layer"][index].data, value, TOLERANCE, where + key)


def test_comparison_can_fail() -> None:
    want = np.array([1.0, -3.0e38, 2.0], np.float32)
    check(want + np.float32([1e-6, 0, 0]), want, TOLERANCE, "near")
    for other in ([1.0001, -3.0e38, 2], [1, -3.1e38, 2], [np.nan, -3.0e38, 2], [1, np.nan, 2]):
        with pytest.raises(AssertionError, match="off by"):
            check(np.float32(other), want, TOLERANCE, "wrong")
    with pytest.raises(AssertionError, match="shape"):
        check(want[None], want, TOLERANCE, "wrong")
