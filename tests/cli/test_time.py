"""`p3d time`: what it measures and counts. Nothing here looks at how long anything took."""

from __future__ import annotations

import json

import pytest
from recipe import GOLDEN

from p3d import _core, cli, timing

NET = str(GOLDEN / "tiny/tiny.prototxt")
WEIGHTS = str(GOLDEN / "tiny/tiny_seeded.caffemodel")

# Products of one clip, by hand: outputs of the layer times inputs of each output.
MACS = {
    "conv1": (8 * 16 * 16 * 8) * (3 * 49),
    "res2a_branch1": (4 * 8 * 8 * 32) * 8,
    "res2a_branch2b": (4 * 8 * 8 * 8) * (8 * 9),
    "res2a_branch2b_t": (4 * 8 * 8 * 8) * (8 * 3),
    "fc_tiny": 5 * 32,
}


@pytest.fixture(autouse=True)
def restore():
    before = _core.isa(), _core.num_threads()
    yield
    _core.set_isa(before[0])
    _core.set_num_threads(before[1])


def run(capsys, *arguments):
    assert cli.main(["time", *arguments, "--iterations", "2", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.embedded
def test_steps_are_the_net_in_order(capsys):
    data = run(capsys, NET, "--weights", WEIGHTS, "--threads", "1")
    names = [step["name"].split()[0] for step in data["steps"]]
    assert names[0] == "data"
    assert [n for n in names if n in MACS] == list(MACS)
    assert {s["name"].split()[0]: s["macs"] for s in data["steps"]}.items() >= MACS.items()
    assert data["planned"] is True
    assert data["threads"] == 1
    assert data["input_copies_ms"] is None
    assert data["inputs"] == {"data": [1, 3, 8, 32, 32]}
    assert "conv1 +BN +ReLU" in [step["name"] for step in data["steps"]]


def test_sums(capsys):
    data = run(capsys, NET)
    for rows in (data["steps"], data["kernels"], data["types"], [data["total"]]):
        assert sum(row["macs"] for row in rows) == sum(s["macs"] for s in data["steps"])
        assert sum(row["share"] for row in rows) == pytest.approx(1)
        assert sum(row["ms"] for row in rows) == pytest.approx(data["total"]["ms"])
    for row in data["steps"]:
        assert row["gflops"] == pytest.approx(2e-6 * row["macs"] / row["ms"])
        assert row["peak"] == pytest.approx(row["gflops"] / data["peak_gflops"])
    assert sum(row["layers"] for row in data["types"]) == len(data["steps"])
    assert 0 < data["ms_per_item"]["min"] <= data["ms_per_item"]["median"]
    assert data["ms_per_item"]["median"] <= data["ms_per_item"]["max"]


def test_batch_counts_every_clip(capsys):
    one, three = run(capsys, NET), run(capsys, NET, "--batch", "3")
    assert three["inputs"] == {"data": [3, 3, 8, 32, 32]}
    assert three["total"]["macs"] == 3 * one["total"]["macs"]


@pytest.mark.embedded
def test_layer_by_layer(capsys):
    fused, single = run(capsys, NET), run(capsys, NET, "--layers")
    assert single["planned"] is False
    assert all(step["layers"] == 1 and "+" not in step["name"] for step in single["steps"])
    assert len(single["steps"]) > len(fused["steps"])
    assert {"bn_conv1", "conv1_relu"} <= {step["name"] for step in single["steps"]}
    assert single["total"]["macs"] == fused["total"]["macs"]


@pytest.mark.embedded
@pytest.mark.parametrize("isa", _core.isa_names())
def test_instruction_sets(isa, capsys):
    data = run(capsys, NET, "-isa", isa)
    assert data["isa"] == isa
    assert _core.isa() == isa


@pytest.mark.parametrize("model", ["-model", "--net"])
def test_the_flags_of_caffe_time(model, capsys):
    assert cli.main(["time", model, NET, "-weights", WEIGHTS, "-iterations", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{NET}, {WEIGHTS} weights, data 1x3x8x32x32"
    assert lines[-1].startswith("whole net ")
    assert "ms per clip" in lines[-1]
    titles = [line.split()[0] for line in lines if line.endswith(("  kernel", "  count"))]
    assert titles == ["step", "kernel", "type"]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["nothing.prototxt"], 1, "nothing.prototxt"),
        ([NET, "--isa", "sse9"], 1, "sse9"),
        pytest.param(["-model", NET, "-gpu", "99"], 1, "GPU", marks=pytest.mark.embedded),
        ([NET, "--iterations", "0"], 2, "0 is not a count"),
        ([NET, "--batch", "-2"], 2, "-2 is not a count"),
        ([NET, "--weights", "nowhere.caffemodel"], 1, "nowhere.caffemodel"),
    ],
)
def test_faults(arguments, code, part, capsys):
    assert cli.main(["time", *arguments]) == code
    assert part in capsys.readouterr().err


def test_a_net_without_input_has_no_batch():
    net = 'layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 3 } } }'
    assert timing.measure(timing.make(net), 1).items == 1
    with pytest.raises(RuntimeError, match="Input"):
        timing.make(net, batch=2)


def test_groups_without_a_kernel_go_by_type():
    steps = [
        timing.Step("a", "Convolution", "fast", 2, 100, 1.0),
        timing.Step("b", "Softmax", "", 1, 0, 5.0),
        timing.Step("c", "InnerProduct", "fast", 1, 50, 0.5),
    ]
    assert timing.group(steps, "kernel") == [
        timing.Step("Softmax", "Softmax", "", 1, 0, 5.0),
        timing.Step("fast", "Convolution", "fast", 2, 150, 1.5),
    ]
    assert timing.total([]) == timing.Step("total", "", "", 0, 0, 0)
