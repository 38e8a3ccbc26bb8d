"""A Dask cluster gives what a single run gives, also when workers are lost."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from pathlib import Path

import pytest
from jobs.tiny_job import NET, command, extract, same, videos

from p3d.caffe.proto import caffe_pb2
from p3d.extractor import ClipsWarning, Extractor
from p3d.jobs import over_dask
from p3d.jobs.output import Output

pytest.importorskip("distributed")

_LOSE_ONE = """
from jobs import losing
from p3d.jobs import over_dask
over_dask.extract_group = losing.extract_group
"""


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("single")
    source = videos(folder / "videos", 24)
    extract(source, folder / "features", "--blobs", "pool5,prob")
    return source, folder / "features"


def test_four_workers_make_the_same_files(single, tmp_path):
    source, truth = single
    (source / "bad.mp4").write_bytes(b"bad")
    try:
        done = extract(
            source, tmp_path / "out", "--blobs", "pool5,prob", "--dask", "local:4", code=1
        )
    finally:
        (source / "bad.mp4").unlink()
    assert "24 videos, 480 clips" in done.stdout
    assert "1 failed" in done.stdout
    failed = json.loads((tmp_path / "out" / "failed.jsonl").read_text())
    assert failed["name"] == "bad"
    same(truth, tmp_path / "out")
    again = extract(source, tmp_path / "out", "--blobs", "pool5,prob", "--dask", "local:2")
    assert "24 complete before" in again.stdout


def test_a_worker_that_is_lost_costs_nothing(single, tmp_path, monkeypatch):
    source, truth = single
    mark = tmp_path / "killed"
    monkeypatch.setenv("P3D_LOST", str(mark))
    arguments = ["--blobs", "pool5,prob", "--dask", "local:4"]
    done = extract(source, tmp_path / "out", *arguments, before=_LOSE_ONE)
    assert mark.exists(), "no worker was killed"
    assert "failed" not in done.stdout
    same(truth, tmp_path / "out")


def test_a_full_disk_ends_it(single, tmp_path):
    """Nor are its videos failures: the same command does them when there is room. How far it came
    is told."""
    before = _LOSE_ONE.replace("losing.extract_group", "losing.full_disk")
    done = extract(single[0], tmp_path / "out", "--dask", "local:1", before=before, code=1)
    assert done.stderr.splitlines()[-1] == (
        "p3d extract: cannot write x.npy: No space left on device"
    )
    assert done.stderr.count("No space left") == 1
    assert not (tmp_path / "out" / "failed.jsonl").exists()
    assert done.stdout.startswith("0 videos, ")


_WHEN_STARTED = """
import os, signal
import distributed
class Cluster(distributed.LocalCluster):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        os.killpg(0, signal.SIGINT)
distributed.LocalCluster = Cluster
"""


@pytest.mark.parametrize(
    "before",
    [_LOSE_ONE.replace("losing.extract_group", "losing.ctrl_c"), _WHEN_STARTED],
    ids=["of a task", "when the workers have just started"],
)
def test_ctrl_c_is_the_clients(before, single, tmp_path):
    line = command(
        "extract", single[0], *NET, "--out", tmp_path, "--dask", "local:1", before=before
    )
    done = subprocess.run(line, capture_output=True, text=True, start_new_session=True)
    assert done.returncode == 130
    assert done.stderr.endswith("p3d extract: interrupted\n")
    assert "Traceback" not in done.stderr
    assert "Port" not in done.stderr


def test_what_ctrl_c_breaks_off_says_nothing_about_it(caplog):
    """As tornado does, on a machine that is busy, before the exception is seen."""
    logger = logging.getLogger("tornado.application")
    with over_dask._silent_from_ctrl_c_on():
        logger.error("before")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        logger.error("of what was broken off")
    logger.error("behind")
    assert caplog.messages == ["before", "behind"]


def test_a_worker_does_not_say_again_what_the_client_has_said(tmp_path):
    """Warnings are errors here."""
    data = caffe_pb2.NetParameter()
    data.layer.add(name="data", type="VideoData").video_data_param.crop_size = 24
    weights = tmp_path / "mine.caffemodel"
    weights.write_bytes(data.SerializeToString() + Path(NET[3]).read_bytes())
    arguments = {"weights": str(weights), "net": NET[1]}
    with pytest.warns(ClipsWarning):
        Extractor(**arguments)
    over_dask._runner(over_dask.Settings(arguments, Output(), str(tmp_path)))


def test_no_scheduler(tmp_path):
    line = command("extract", "a.mp4", *NET, "--out", tmp_path, "--dask", "tcp://127.0.0.1:1")
    env = {**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1
    assert "no scheduler answers" in done.stderr
