"""`p3d train` on several simulated GPUs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import training_nets

from p3d.training import record

TESTS = Path(__file__).parents[1]
MORE = "display: 2 snapshot: 3 max_iter: 8"


@pytest.fixture
def train(run, nccl: str, tmp_path: Path):
    """Runs the command, for a solver in the folder `name`."""

    def train(name: str, *more: object, acting: str = "", device: str = "cuda:0,1"):
        solver = training_nets.solver_file(tmp_path / name, more=MORE)
        net = training_nets.NET.replace("training_rows", "acting_rows")
        solver.with_name("net.prototxt").write_text(
            net.replace("bn_param {", "bn_param { sync: true ")
        )
        return run(
            *("-m", "p3d", "train", "--solver", solver, "--device", device, *more),
            ACTING=acting,
            PYTHONPATH=os.pathsep.join(map(str, (TESTS, TESTS / "gpu"))),
            P3D_NCCL_LIBRARY=nccl,
            P3D_SIMULATED_GPUS="3",
            TMPDIR=str(tmp_path),
        )

    return train


def snapshots(folder: Path) -> list[int]:
    return sorted(int(p.stem.rsplit("_", 1)[1]) for p in folder.glob("*.solverstate"))


def model(folder: Path, iteration: int = 8) -> bytes:
    return (folder / f"s_iter_{iteration}.caffemodel").read_bytes()


_whole: list[bytes] = []  # one, when it was made


@pytest.fixture
def whole(train, tmp_path: Path) -> bytes:
    """What a training makes that nothing disturbs."""
    if not _whole:
        assert train("whole").returncode == 0
        _whole.append(model(tmp_path / "whole"))
    return _whole[0]


def test_it_tells_what_one_process_tells(train, tmp_path: Path) -> None:
    done = train("whole")
    assert done.returncode == 0, done.stderr
    _whole[:] = [model(tmp_path / "whole")]
    assert done.stderr.count("Iteration 4, lr") == done.stderr.count("Optimization Done.") == 1
    assert all(line.startswith("I") for line in done.stderr.splitlines()), done.stderr
    found = [e["iter"] for e in record.read(str(tmp_path / "whole" / "train.jsonl"))]
    assert found == [0, 0, 2, 3, 4, 6, 6]


def test_ctrl_c_writes_one_snapshot_to_go_on_from(train, whole: bytes, tmp_path: Path) -> None:
    done = train("stopped", acting="*:4:interrupt")
    assert done.returncode == 130, done.stderr
    assert "stopped at iteration 5; go on with --snapshot" in done.stdout
    assert snapshots(tmp_path / "stopped") == [3, 5]
    going_on = ["--snapshot", tmp_path / "stopped" / "s_iter_5.solverstate"]
    assert train("stopped", *going_on).returncode == 0
    assert model(tmp_path / "stopped") == whole


@pytest.mark.parametrize(
    ("acting", "message"),
    [
        ("1:4:kill", "GPU 1: its process was ended by SIGKILL"),
        ("1:4:fail", "GPU 1: the disk with the rows is gone"),
        ("0:4:fail", "p3d train: the disk with the rows is gone"),
    ],
)
def test_what_ends_a_rank_is_told_and_nothing_is_lost(
    acting, message, train, whole: bytes, tmp_path: Path
) -> None:
    done = train("failed", acting=acting)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert message in last
    assert "Traceback" not in done.stderr
    assert snapshots(tmp_path / "failed") == [3, 4]
    going_on = ["--snapshot", tmp_path / "failed" / "s_iter_4.solverstate"]
    assert train("failed", *going_on).returncode == 0
    assert model(tmp_path / "failed") == whole


def test_the_others_end_with_the_command(train, tmp_path: Path) -> None:
    assert train("killed", acting="0:4:kill").returncode == -9
    follower = Path("/proc", (tmp_path / "rank1.pid").read_text(), "stat")
    while follower.exists() and follower.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:0,7", "there is no GPU 7; this machine has 3, counted from 0"),
        ("cuda:1,1", "device cuda:1,1 names a GPU twice"),
        ("cuda:0,", "there is no device 'cuda:0,'"),
    ],
)
def test_gpus_that_cannot_be_used(device, message, train) -> None:
    done = train("unused", device=device)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_all_and_one_of_them(train, tmp_path: Path) -> None:
    assert train("all", device="cuda:all").returncode == 0
    assert (tmp_path / "rank2.pid").exists()
    assert train("one", "--gpu", "2").returncode == 0
    assert model(tmp_path / "one") != model(tmp_path / "all")
