"""Runs golden cases in a real Caffe, each in a process of its own, which a failed check may end.

Started with a Python that can `import caffe`. Reads one JSON object per line, {"case": .npz,
"out": .npz, "replace": [old, new] or null (in the prototxt)}, and answers each with {"status":
exit status, "log": what was said on stderr}.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np

Arrays = dict[str, np.ndarray]


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        log = job["out"] + ".log"
        child = os.fork()
        if child == 0:
            run_child(job, log)
        _, status = os.waitpid(child, 0)
        with open(log, errors="replace") as file:
            print(json.dumps({"status": status, "log": file.read()}), flush=True)


def run_child(job: dict, log: str) -> None:
    """Does not return."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    code = 1
    try:
        with np.load(job["case"]) as case:
            np.savez(job["out"], **run(case, job["replace"]))
        code = 0
    finally:
        if code:
            import traceback

            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)


def run(case: Mapping[str, np.ndarray], replace: list[str] | None) -> Arrays:
    """The results of a case under the keys that the file has for them."""
    text = str(case["prototxt"])
    if replace is not None:
        assert replace[0] in text
        text = text.replace(*replace)
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text)
        file.flush()
        net = caffe.Net(file.name, caffe.TRAIN if str(case["phase"]) == "TRAIN" else caffe.TEST)
    for i in range(int(case["n_param"])):
        net.params["layer"][i].data[...] = case[f"param{i}"]
    found: Arrays = {}
    repeat = int(case["repeat"])
    for number in range(repeat):
        if number == 0 or case["diffs_cleared"]:
            net.clear_param_diffs()
        prefix = f"pass{number}/" if repeat > 1 else ""
        results = run_pass(net, case, prefix)
        found.update((prefix + key, value) for key, value in results.items())
    return found


def run_pass(net: caffe.Net, case: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """Forward, and backward where the case has it."""
    bottoms = [f"b{i}" for i in range(int(case["n_bottom"]))]
    tops = [str(top) for top in case["tops"]]
    for i, name in enumerate(bottoms):
        net.blobs[name].data[...] = case[f"{prefix}bottom{i}"]
    net.forward()
    found = {f"top{i}": net.blobs[name].data.copy() for i, name in enumerate(tops)}
    if case["has_backward"]:
        for name in tops:
            net.blobs[name].diff[...] = 0
        net.blobs[tops[0]].diff[...] = case[f"{prefix}top_diff0"]
        net._backward(len(net.layers) - 1, 0)
        for i, name in enumerate(bottoms):
            found[f"bottom_diff{i}"] = net.blobs[name].diff.copy()
    for i, blob in enumerate(net.params.get("layer", ())):
        found[f"param_diff{i}"] = blob.diff.copy()
        found[f"param_after{i}"] = blob.data.copy()
    return found


if __name__ == "__main__":
    main()
