"""Clips that a channel likes best."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from p3d import Error, caffe, cli, deepdraw
from p3d.loading import load_net
from p3d.showing import drawn_clip

GOLDEN = Path(__file__).parent / "golden" / "tiny"
NET, WEIGHTS = str(GOLDEN / "tiny.prototxt"), str(GOLDEN / "tiny_seeded.caffemodel")
SHARP = deepdraw.Schedule(steps=60, blur=(0.5, 0.3))

# Channel 0: how bright the first half of a clip is; channel 1: less how bright the second one is.
BRIGHT = """
force_backward: true
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 4 dim: 16 dim: 12 } } }
layer { name: "sums" type: "InnerProduct" bottom: "data" top: "sums"
        inner_product_param { num_output: 2 bias_term: false } }
layer { name: "prob" type: "Softmax" bottom: "sums" top: "prob" }
"""


def bright() -> caffe.Net:
    net = caffe.Net(BRIGHT, caffe.TEST)
    halves = np.zeros((2, 3, 4, 16, 12), np.float32)
    halves[:, :, :2] = 1e-4
    halves[1, :, 2:] = -1e-4
    net.params["sums"][0].data[...] = halves.reshape(2, -1)
    return net


@pytest.mark.parametrize(("channel", "second"), [(0, (60, 200)), (1, (0, 60))])
def test_a_clip_becomes_what_the_channel_looks_for(channel: int, second: tuple[int, int]) -> None:
    seen: list[float] = []
    drawn = deepdraw.draw(bright(), "sums", channel, SHARP, 1, seen.append)
    assert drawn.pixels.shape == (4, 16, 12, 3)
    assert drawn.pixels.dtype == np.uint8
    assert len(drawn.scores) == 61
    assert seen == drawn.scores[:-1].tolist()
    assert drawn.pixels[0].mean() > 240
    low, high = second
    assert low <= drawn.pixels[3].mean() <= high


def test_a_seed_draws_the_same_and_another_something_else() -> None:
    one, same, other = (
        deepdraw.draw(bright(), "sums", 0, SHARP, seed).pixels for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("blob", ["res2a", "fc"])
def test_scores_of_a_p3d_net_grow(blob: str) -> None:
    net = load_net(WEIGHTS, NET, backward=True).net
    blob = deepdraw.class_scores(net) if blob == "fc" else blob
    drawn = deepdraw.draw(net, blob, 1, SHARP)
    assert drawn.scores[-1] > drawn.scores[0]


def test_the_gradient_is_that_of_what_is_computed() -> None:
    """Not, as Caffe has it where BN is not frozen, by statistics of the batch."""
    assert "frozen: false" in Path(NET).read_text()
    net = load_net(WEIGHTS, NET, backward=True).net
    blob = deepdraw.class_scores(net)
    clip = np.random.default_rng(2).normal(0, 30, net.blobs["data"].shape).astype(np.float32)

    def score(clip: np.ndarray) -> float:
        net.blobs["data"].data[...] = clip
        net.forward()
        return float(net.blobs[blob].data[0, 0])

    score(clip)
    net.blobs[blob].diff[...] = 0
    net.blobs[blob].diff[0, 0] = 1
    net.backward(start=[name for name in net.layer_dict if blob in net.top_names[name]][-1])
    gradient = net.blobs["data"].diff.copy()
    step = gradient * np.float32(0.1 / np.abs(gradient).max())
    grown = (score(clip + step) - score(clip - step)) / 2
    np.testing.assert_allclose(grown, (gradient * step).sum(), rtol=0.05)


@pytest.mark.parametrize(
    ("blob", "channel", "message"),
    [
        ("sum", 0, "no blob 'sum'; it has sums"),
        ("sums", 2, "'sums' has no channel 2: it has 2"),
    ],
)
def test_what_cannot_be_drawn(blob: str, channel: int, message: str) -> None:
    with pytest.raises(Error, match=message):
        deepdraw.draw(bright(), blob, channel, SHARP)


def test_errors_name_the_prototxt(tmp_path: Path) -> None:
    path = tmp_path / "mine.prototxt"
    path.write_text(Path(NET).read_text().replace('bottom: "data"', 'bottom: "date"', 1))
    with pytest.raises(Error, match=f"^{re.escape(str(path))}: .*date"):
        load_net(WEIGHTS, path, backward=True)


def test_a_dead_channel_is_told() -> None:
    net = bright()
    net.params["sums"][0].data[...] = 0
    with pytest.raises(Error, match="gradient of channel 0 of 'sums' is 0"):
        deepdraw.draw(net, "sums", 0, SHARP)


@pytest.mark.parametrize(
    ("what", "names", "expected"),
    [("b", ["a", "b"], 1), ("7", ["a", "b"], 7), ("7", ["7", "b"], 0), ("12", None, 12)],
)
def test_names_of_channels(what: str, names: list[str] | None, expected: int) -> None:
    assert deepdraw.channel_named(what, names) == expected


def test_names_that_are_none() -> None:
    names = ["playing guitar", "yoga"]
    with pytest.raises(Error, match="no class 'play guitar'; did you mean playing guitar"):
        deepdraw.channel_named("play guitar", names)
    with pytest.raises(Error, match="no class 'x'; they are playing guitar, yoga"):
        deepdraw.channel_named("x", names)
    for what in ("yoga", "-1", "9" * 5000):
        with pytest.raises(Error, match="is no number from 0, and classes have no names"):
            deepdraw.channel_named(what, None)


def test_a_net_can_be_used_again() -> None:
    """What an earlier backward left behind other layers is of no consequence."""
    net = load_net(WEIGHTS, NET, backward=True).net
    short = SHARP._replace(steps=2)
    expected = deepdraw.draw(load_net(WEIGHTS, NET, backward=True).net, "res2a", 1, short)
    deepdraw.draw(net, deepdraw.class_scores(net), 1, short)
    again = deepdraw.draw(net, "res2a", 1, short)
    np.testing.assert_array_equal(again.pixels, expected.pixels)
    np.testing.assert_allclose(again.scores, expected.scores, rtol=1e-6)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a.xyz", r"a\.xyz: OpenCV writes no such image; name it \.mp4 or \.png"),
        ("a", "name it .mp4 or .png"),
        ("nowhere/a.mp4", "cannot write nowhere/a.mp4: No such file"),
        ("folder.png", "it is a folder"),
    ],
)
def test_where_a_clip_cannot_be_written_is_told_before(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    with pytest.raises(Error, match=message):
        drawn_clip.check_place(path)
    assert [each.name for each in tmp_path.iterdir()] == ["folder.png"]


@pytest.mark.parametrize("channels", [2, 3])
def test_clips_are_written_as_video_and_as_picture(tmp_path, channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (16, 36, 50, channels), np.uint8)
    assert drawn_clip.write(pixels, str(tmp_path / "a.mp4")) == str(tmp_path / "a.mp4")
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 16
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 350
    drawn_clip.write(pixels, str(tmp_path / "a.png"))
    image = cv2.imread(str(tmp_path / "a.png"))
    assert image.shape == (2 * 40 - 4, 8 * 54 - 4, 3)
    if channels == 3:
        np.testing.assert_array_equal(image[40:76, 54:104], pixels[9])
    else:
        np.testing.assert_array_equal(image[40:76, 54:104, ::-1][..., :2], pixels[9])


def test_the_verb(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    count = load_net(WEIGHTS, NET).net.blobs["prob"].shape[1]
    Path("names.txt").write_text("".join(f"motion {i}\n" for i in range(count)))
    Path("few.txt").write_text("motion\n")
    net = ["--net", NET, "--weights", WEIGHTS, "--labels", "names.txt", "--steps", "3"]
    assert cli.main(["deepdraw", "motion 2", *net, "-o", "two.mp4"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("motion 2: fc")
    assert "after 3 steps" in out
    assert out.endswith("-> two.mp4\n")
    assert Path("two.mp4").stat().st_size > 1000
    assert cli.main(["deepdraw", "5", *net, "--blob", "res2a", "-o", "five.png"]) == 0
    assert cv2.imread("five.png").shape == (32, 8 * 36 - 4, 3)
    assert cli.main(["deepdraw", "motion", *net, "-o", "no.png"]) == 1
    assert "no class 'motion'; did you mean motion" in capsys.readouterr().err
    assert cli.main(["deepdraw", "1", *net, "--steps", "0", "-o", "no.png"]) == 1
    assert "--steps 0, --seed 1: --steps takes 1 to 100000" in capsys.readouterr().err
    assert cli.main(["deepdraw", "1", *net, "--seed", "-1", "-o", "no.png"]) == 1
    assert cli.main(["deepdraw", "1", *net, "--labels", "few.txt", "-o", "no.png"]) == 1
    assert f"there are 1 class names for {count} outputs" in capsys.readouterr().err
    assert not Path("no.png").exists()


def test_the_verb_takes_another_crop(tmp_path, monkeypatch, capsys) -> None:
    """That of a prototxt whose Reshape is fixed for the one it was released with."""
    monkeypatch.chdir(tmp_path)
    text = Path(NET).read_text()
    Path("larger.prototxt").write_text(text.replace("dim: 32 dim: 32", "dim: 40 dim: 40", 1))
    net = ["--net", "larger.prototxt", "--weights", WEIGHTS, "--steps", "1", "-o", "two.png"]
    assert cli.main(["deepdraw", "2", *net]) == 1
    assert "--relax-reshape" in capsys.readouterr().err
    assert cli.main(["deepdraw", "2", *net, "--relax-reshape"]) == 0
    assert cv2.imread("two.png").shape[0] == 40
