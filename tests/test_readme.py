"""Every command and every piece of Python in README.md runs as it stands there.

The two commands that set everything up are run by CI.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import plug_into_caffe
import pytest
from caffe_trees import write_tree
from video.drawn import write_video

import p3d.caffe as caffe
from p3d import gpu, models, random_weights
from p3d.models import resnet

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
GPU = "P3D_CUDA=ON"
COMMANDS = [
    line
    for language, block in BLOCKS
    if language == "bash"
    and not any(word in block for word in ("-m venv", "tools/benchmark.py", GPU))
    for line in block.splitlines()
]
GPU_COMMANDS = next(block for _, block in BLOCKS if GPU in block).splitlines()
PROGRAMS = [block for language, block in BLOCKS if language == "python"]
WEIGHTS = "p3d_resnet_kinetics_iter_190000.caffemodel"
WEIGHTS_OF = {
    "p3d199-kinetics": WEIGHTS,
    "p3d199-kinetics-flow": "p3d_resnet_kinetics_flow_iter_190000.caffemodel",
}
CLASSIFY = f"""
import sys
import numpy as np
import caffe
net = caffe.Net("prototxt/p3d199-kinetics.prototxt", "{WEIGHTS}", caffe.TEST)
net.blobs["data"].data[...] = np.load(sys.argv[1])
print(net.forward()["prob"].argmax())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has: a clone's prototxts, weights of the released name, videos, a script."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("prototxt", "tools"):
        (folder / name).symlink_to(ROOT / name)
    plug_into_caffe.main([str(write_tree(folder / "caffe"))])
    for name, file in WEIGHTS_OF.items():
        random_weights.write(caffe.Net(models.prototxt(name), caffe.TEST), folder / file)
    write_video(folder / "talk.mp4", 40, 120, 160)
    (folder / "videos").mkdir()
    write_video(folder / "videos" / "one.mp4", 18, 120, 160)
    for part in ("train", "test"):
        (folder / "videos" / f"{part}.txt").write_text("one.mp4 1\n")
    resnet50 = caffe.Net(resnet.features(50, (32, 32), bias=True), caffe.TEST)
    random_weights.write(resnet50, folder / "ResNet-50-model.caffemodel")
    (folder / "classify.py").write_text(CLASSIFY)
    np.save(folder / "clip.npy", np.zeros((1, 3, 16, 160, 160), np.float32))
    return folder


def run(folder: Path, command: list[str]) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "W": WEIGHTS},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_there_is_something_to_run() -> None:
    assert len(COMMANDS) >= 20
    assert len(PROGRAMS) >= 2


@pytest.mark.parametrize("command", COMMANDS)
def test_command(folder: Path, command: str) -> None:
    run(folder, ["bash", "-c", command])
    if "--train own" in command:
        for name, numbers in _OF_A_SHORT_TRAINING.items():
            path = folder / "own" / name
            path.write_text(re.sub(numbers, r"\1: 1", path.read_text()))
    if command.startswith("p3d train"):
        made = folder / "own" / "p3d63_ucf101_iter_1.caffemodel"
        made.rename(made.with_name("p3d63_ucf101_iter_200.caffemodel"))


def test_gpu_commands_name_what_an_installation_lacks(folder: Path) -> None:
    """Nets on a GPU are tested in tests/gpu; here the first command has not been run."""
    install, *others = GPU_COMMANDS
    assert len(others) == 4
    environment = {k: v for k, v in os.environ.items() if k != gpu.VARIABLE}
    if gpu.library() is not None:
        pytest.skip("this installation has kernels for GPUs")
    for command in others:
        words = [sys.executable, "-m", *command.split()]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 1, command
        assert install in done.stderr, done.stderr


# One clip instead of 960,000.
_OF_A_SHORT_TRAINING = {
    "solver.prototxt": r"(iter_size|max_iter|test_iter): \d+",
    "train_val.prototxt": r"(batch_size): \d+",
}


@pytest.mark.parametrize("program", PROGRAMS, ids=["extractor", "streams", "clips", "pycaffe"])
def test_program(folder: Path, program: str) -> None:
    run(folder, [sys.executable, "-c", program])


@pytest.mark.parametrize("folder", [".", "layers/kernels/cuda", "tools/benchmarking"])
def test_paths_in_readmes_are_real(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text()
    paths = re.findall(r"(?<![\w./])(?:python|layers|prototxt|tests|tools)/[\w/.-]*\w", text)
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path
