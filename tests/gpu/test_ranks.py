"""Several processes, each with a simulated GPU, that train one net through a simulated NCCL."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("rank_training.py")
ROWS = 41  # of which no batch is a divisor
NET = """
name: "ranks" force_backward: false
layer {{ name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param {{ source: "{folder}/files.txt" batch_size: {batch} shuffle: {shuffle} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 5 bias_term: false kernel_size: 1 kernel_size: 3 kernel_size: 3
    weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "bn" type: "BN" bottom: "conv" top: "bn" bn_param {{ {bn} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "bn" top: "bn" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "bn" top: "fc"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""
# Two steps of two streams, which go on from batch to batch.
RECURRENT = """
layer { name: "goes_on" type: "DummyData" top: "goes_on"
  dummy_data_param { shape { dim: 2 dim: 2 } data_filler { value: 1 } } }
layer { name: "steps" type: "Reshape" bottom: "bn" top: "steps"
  reshape_param { shape { dim: 2 dim: 2 dim: -1 } } }
layer { name: "lstm" type: "LSTM" bottom: "steps" bottom: "goes_on" top: "lstm"
  recurrent_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "h" type: "Reshape" bottom: "lstm" top: "h"
  reshape_param { shape { dim: 4 dim: 6 } } }
layer { name: "fc" type: "InnerProduct" bottom: "h" """
SOLVERS = {"SGD": "base_lr: 0.05 momentum: 0.9", "Adam": "base_lr: 0.01 momentum: 0.9"}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Two files of rows whose mean is far from 0."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, ROWS)
    data = rng.normal(30, 1, (ROWS, 2, 2, 5, 4)) + labels[:, None, None, None, None]
    names = []
    for number, part in enumerate((slice(0, 23), slice(23, ROWS))):
        names.append(str(tmp_path / f"rows{number}.h5"))
        with h5py.File(names[-1], "w") as file:
            file["data"], file["label"] = data[part].astype("f4"), labels[part].astype("f4")
    (tmp_path / "files.txt").write_text("\n".join(names))
    return tmp_path


def solver_of(
    rows: Path, batch: int, kind: str = "SGD", bn: str = "frozen: true", more: str = "",
    shuffle: bool = True,
) -> Path:  # fmt: skip
    folder = rows / f"{kind}{batch}{shuffle}{len(bn)}{len(more)}"
    folder.mkdir(exist_ok=True)
    text = NET.format(folder=rows, batch=batch, bn=bn, shuffle=str(shuffle).lower())
    (folder / "net.prototxt").write_text(text)
    path = folder / "solver.prototxt"
    path.write_text(
        f'net: "{folder}/net.prototxt" type: "{kind}" {SOLVERS[kind]} lr_policy: "fixed" '
        f'weight_decay: 0.01 random_seed: 7 snapshot_prefix: "{folder}/s" {more}\n'
    )
    return path


@pytest.fixture
def train(run, nccl: str, tmp_path: Path):
    """Trains in so many processes; returns what each has then and has told."""

    def train(
        solver: Path, ranks: int, iterations: int = 8, **plan: Any
    ) -> list[tuple[dict[str, np.ndarray], dict[str, Any]]]:
        out = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        out.mkdir()
        plan |= {"solver": str(solver), "ranks": ranks, "iterations": iterations, "out": str(out)}
        gpus = {"P3D_SIMULATED_GPUS": str(ranks), "P3D_NCCL_LIBRARY": nccl}
        done = run(SCRIPT, json.dumps(plan), TMPDIR=str(out), **gpus)
        assert done.returncode == 0, f"{plan}\n{done.stdout}{done.stderr}"
        results = []
        for rank in range(ranks):
            kept, told = (out / f"rank{rank}.{end}" for end in ("npz", "json"))
            results.append(
                (
                    dict(np.load(kept)) if kept.exists() else {},
                    json.loads(told.read_text()) if told.exists() else {"error": "killed"},
                )
            )
            assert results[-1][1]["error"] is None or "Traceback" not in done.stderr, done.stderr
        return results

    return train


def close(got: dict[str, np.ndarray], want: dict[str, np.ndarray], where: str) -> None:
    assert got.keys() == want.keys() != set()
    for name, values in want.items():
        unit = np.abs(values).max()
        np.testing.assert_allclose(
            got[name], values, rtol=0, atol=1e-5 * unit + 1e-9, err_msg=f"{where}: {name}"
        )


@pytest.mark.parametrize(
    ("kind", "ranks", "bn"),
    [
        ("SGD", 2, "frozen: true"),
        ("Adam", 3, "frozen: true"),
        ("SGD", 3, "sync: true"),
        ("Adam", 2, "sync: true momentum: 0.5"),
        ("SGD", 2, "frozen: true sync: true"),
    ],
)
def test_ranks_train_as_one_with_the_joint_batch(kind, ranks, bn, rows, train) -> None:
    (want, told), *_ = train(solver_of(rows, 4 * ranks, kind, bn), 1)
    results = train(solver_of(rows, 4, kind, bn), ranks)
    where = f"{ranks} ranks, {kind}, bn_param {{ {bn} }}"
    for rank, (got, _) in enumerate(results):
        close(got, want, f"{where}, rank {rank}")
    losses = np.mean([told["losses"] for _, told in results], axis=0)
    np.testing.assert_allclose(losses, told["losses"], rtol=1e-5)


@pytest.mark.parametrize("ranks", [2, 3])
def test_synchronised_bn_is_that_of_the_joint_batch(ranks, rows, train) -> None:
    (want, _), *_ = train(solver_of(rows, 4 * ranks, bn="sync: true"), 1, scenario="passes")
    parts = [got for got, _ in train(solver_of(rows, 4, bn="sync: true"), ranks, scenario="passes")]
    for name, whole in want.items():
        shares = [part[name] for part in parts]
        if name.startswith("running"):
            got = shares[0]
            assert all(np.array_equal(share, got) for share in shares), name
        elif name.endswith("gradient"):
            got = np.mean(shares, axis=0)
        else:  # row i of rank r is i * ranks + r; a rank's loss is not divided by the ranks
            got = np.stack(shares, 1).reshape(whole.shape)
            got = got / ranks if name.endswith("diff") else got
        error = np.abs(got - whole).max() / np.abs(whole).max()
        assert error < 1e-5, f"{ranks} ranks: {name} differs by {error}"


def test_frozen_bn_asks_nobody(rows, train) -> None:
    (one, told), (other, _) = train(
        solver_of(rows, 4, bn="frozen: true sync: true"), 2, scenario="first_alone"
    )
    assert told["error"] is None
    assert one.keys() == other.keys() != set()


def test_iter_size_counts_on_top(rows, train) -> None:
    (want, _), *_ = train(solver_of(rows, 4, more="iter_size: 4"), 1)
    for got, _ in train(solver_of(rows, 4, more="iter_size: 2"), 2):
        close(got, want, "2 ranks, iter_size 2, against iter_size 4")


def test_rates_that_follow_the_loss_are_those_of_the_joint_batch(rows, train) -> None:
    windows = "plateau_winsize: 1 " * 5
    results = []
    for ranks in (1, 2):
        solver = solver_of(rows, 8 // ranks, more=f"gamma: 0.5 {windows}")
        solver.write_text(solver.read_text().replace('"fixed"', '"plateau"'))
        results.append(train(solver, ranks))
    ((want, _),), got = results
    for rank, (values, _) in enumerate(got):
        close(values, want, f"rank {rank}")


def test_statistics_are_each_rank_s_own_without_sync(rows, train) -> None:
    (one, _), (other, _) = train(solver_of(rows, 4, bn=""), 2)
    for name in one:
        same = np.array_equal(one[name], other[name])
        assert same == (name not in ("bn/2", "bn/3")), name


def test_bcast_gives_weights_and_places(rows, train) -> None:
    results = train(solver_of(rows, 4), 3, scenario="bcast")
    (want, first), *_ = results
    for rank, (got, told) in enumerate(results):
        for name, values in want.items():
            np.testing.assert_array_equal(got[name], values, name)
        assert told["random"] == first["random"] + rank
    taken = [told["batch"] for _, told in results]
    alone = train(solver_of(rows, 12), 1, scenario="bcast")[0][1]["batch"]
    assert np.array_equal(np.transpose(taken).ravel(), alone), "no share of one order"


def test_going_on_from_a_snapshot_is_exact(rows, train) -> None:
    solver = solver_of(rows, 4, bn="sync: true", more="snapshot: 3 max_iter: 8")
    whole = train(solver, 2, scenario="solve")
    assert sorted(p.name for p in solver.parent.glob("*.solverstate")) == [
        f"s_iter_{i}.solverstate" for i in (3, 6, 8)
    ]
    start = str(solver.with_name("s_iter_3.solverstate"))
    for (got, _), (want, _) in zip(train(solver, 2, 5, start=start), whole, strict=True):
        for name, values in want.items():
            np.testing.assert_array_equal(got[name], values, name)


def test_each_rank_s_recurrent_layers_go_on_where_they_were(rows, train) -> None:
    solver = solver_of(rows, 4, more="snapshot: 3 max_iter: 8")
    net = solver.with_name("net.prototxt")
    fc = 'layer { name: "fc" type: "InnerProduct" bottom: "bn" '
    assert fc in net.read_text()
    net.write_text(net.read_text().replace(fc, RECURRENT))
    whole = train(solver, 2, scenario="solve")
    start = str(solver.with_name("s_iter_3.solverstate"))
    for (got, _), (want, _) in zip(train(solver, 2, 5, start=start), whole, strict=True):
        for name, values in want.items():
            np.testing.assert_array_equal(got[name], values, name)
    for ranks in (1, 3):
        (_, first), *others = train(solver, ranks, scenario="solve", start=start)
        words = f"'lstm' begins with 0: .* handed on in 2 processes, there are {ranks} now; with as"
        assert [line for line in first["log"] if re.search(words, line)], first["log"]
        assert not [line for _, told in others for line in told["log"] if "'lstm'" in line]


def test_only_rank_0_tests_and_tells(rows, train) -> None:
    more = "test_iter: 1 test_interval: 2 display: 1 max_iter: 4"
    solver = solver_of(rows, 4, bn="sync: true", more=more)
    (_, first), (_, second) = train(solver, 2, scenario="solve")
    assert {event["event"] for event in first["events"]} == {"train", "test"}
    for words in ("Solving", "Iteration 3, lr", "Testing net (#0)", "Iteration 4, loss", "Snapsh"):
        assert any(words in line for line in first["log"]), words
    assert second["events"] == []
    assert not [line for line in second["log"] if not line.startswith("engine: ")]


@pytest.mark.parametrize("bn", ["frozen: true", "sync: true"])
@pytest.mark.parametrize(
    ("scenario", "own"),
    [("killed", "killed"), ("raising", "the disk with the clips is gone")],
)
def test_a_rank_that_ends_ends_the_others(scenario, own, bn, rows, train) -> None:
    results = train(solver_of(rows, 4, bn=bn), 3, 100, scenario=scenario)
    *others, (_, last) = results
    assert last["error"] == own
    for _, told in others:
        assert "rank 2 (GPU 2, process " in told["error"], told
        assert "has ended, so the training cannot go on" in told["error"]
        assert len(told["losses"]) == 3


def test_a_rank_that_diverges_says_where(rows, train) -> None:
    for bn in ("frozen: true", "sync: true"):
        (_, first), (_, second) = train(solver_of(rows, 4, bn=bn), 2, 100, scenario="diverging")
        assert "first in the weights of layer 'fc', blob 0" in second["error"]
        assert "rank 1 (GPU 1, process " in first["error"]


def test_a_gradient_cannot_be_made_again_by_one_rank(rows, train) -> None:
    (_, told), _ = train(solver_of(rows, 4, bn="sync: true"), 2, scenario="asking_alone")
    assert "BN 'bn': synchronised statistics need all ranks" in told["error"]


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("late", "rank 1 of 2 has not come; start as many processes"),
        ("same_gpu", "have the same GPU: set_device another"),
        ("same_rank", "there are two ranks 0; give each process one of its own"),
        ("other_count", "set_solver_count"),
        ("other_net", "has another net or solver than rank"),
        ("on_the_processor", "NCCL is for GPUs: call set_device and set_mode_gpu first"),
    ],
)
def test_what_does_not_fit_together_is_an_error(scenario, message, rows, train) -> None:
    results = train(solver_of(rows, 4), 2, scenario=scenario)
    assert any(message in (told["error"] or "") for _, told in results), results


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("missing.so", "pip install nvidia-nccl-cu13, or name libnccl.so.2 in P3D_NCCL_LIBRARY"),
        ("libdl.so.2", "it is no NCCL or is too old; pip install -U nvidia-nccl-cu13"),
    ],
)
def test_a_missing_nccl_is_named(file, message, run) -> None:
    ask = "import p3d.caffe as caffe; print(caffe.has_nccl()); caffe.NCCL.new_uid()"
    done = run("-c", ask, P3D_NCCL_LIBRARY=file)
    assert done.stdout == "False\n"
    assert message in done.stderr.splitlines()[-1]
