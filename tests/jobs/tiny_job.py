"""`p3d extract` of a few small videos with the tiny golden net, for tests that disturb it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from video.drawn import write_video

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny"
NET = ["--net", str(GOLDEN / "tiny.prototxt"), "--weights", str(GOLDEN / "tiny_seeded.caffemodel")]

# What runs is the package that the tests import, whatever the environment says.
_MAIN = """
import sys
sys.path[:] = {path!r}
{before}
from p3d.cli import main
sys.exit(main(sys.argv[1:]))
"""


def videos(folder: Path, count: int = 4) -> Path:
    """Files v<i>.mp4 of 20, 23, ... frames, every second in a folder of its own."""
    for index in range(count):
        place = folder / f"part {index}" if index % 2 else folder
        place.mkdir(parents=True, exist_ok=True)
        write_video(place / f"v{index}.mp4", 20 + 3 * index)
    return folder


def command(*arguments: object, before: str = "") -> list[str]:
    """`p3d ARGUMENTS` in a Python of its own, which runs the lines `before` first."""
    code = _MAIN.format(path=sys.path, before=before)
    return [sys.executable, "-c", code, *map(str, arguments)]


def extract(source: Path, out: Path, *more: object, before: str = "", code: int | None = 0):
    """Runs `p3d extract` on `source`, and expects an exit code if it is not None."""
    line = command("extract", source, *NET, "--out", out, *more, before=before)
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert code in (None, done.returncode), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def arrays(out: Path) -> dict[str, np.ndarray]:
    """Every array below a folder, by its file's name (and, in .npz, its own)."""
    found = {}
    for path in sorted(out.rglob("*.np[yz]")):
        loaded = np.load(path)
        parts = {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
        for name, array in parts.items():
            found[f"{path.relative_to(out)} {name}"] = array
    return found


def same(one: Path, two: Path) -> None:
    """Both folders hold identical arrays, complete descriptions, and nothing else."""
    first, second = arrays(one), arrays(two)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    for path in one.rglob("*"):
        other = two / path.relative_to(one)
        assert other.exists(), f"{other} is missing"
        if path.suffix == ".json":
            known = [json.loads(p.read_text()) for p in (path, other)]
            assert known[0] == known[1], path
    assert not list(two.rglob("*.tmp")) + list(two.rglob(".*.tmp"))
