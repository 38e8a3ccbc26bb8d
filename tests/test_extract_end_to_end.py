"""From real files to features with the real engine: decode, clips, net, files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from plain_clip import plain_clip

import p3d
from p3d import caffe, cli, demo, models
from p3d.video.clips import open_video

GOLDEN = Path(__file__).parent / "golden" / "tiny"
TINY = ["--net", str(GOLDEN / "tiny.prototxt"), "--weights", str(GOLDEN / "tiny_seeded.caffemodel")]

SOME = [0, 7, 19]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Nothing is left in the folder that the tests are run from."""
    monkeypatch.chdir(tmp_path)


def forward(clips, blob: str, **options) -> np.ndarray:
    """The blob of the tiny net for clips that somebody else prepared, one after the other."""
    weights = str(GOLDEN / "tiny_seeded.caffemodel")
    net = caffe.Net(str(GOLDEN / "tiny.prototxt"), caffe.TEST, weights=weights, **options)
    net.blobs["data"].reshape(1, *clips[0].shape)
    rows = []
    for clip in clips:
        net.blobs["data"].data[...] = clip
        net.forward()
        rows.append(net.blobs[blob].data[0].copy())
    return np.stack(rows)


def close(got, expected) -> None:
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_real_video_through_a_real_net(tmp_path, real_video):
    out = tmp_path / "features"
    assert cli.main(["extract", str(real_video), *TINY, "--out", str(out)]) == 0
    clips = [plain_clip(str(real_video), i, edge=33, crop=32, length=8) for i in SOME]
    got = np.load(out / "bikes.npy")
    assert got.shape == (20, 32)
    close(got[SOME], forward(clips, "pool5").reshape(-1, 32))
    assert got.std(axis=0).max() > 0.01 * np.abs(got).max(), "the clips must differ"
    assert json.loads((out / "bikes.json").read_text())["frames"] == 250


def test_odd_clips_are_told_once(tmp_path):
    """By the file, and not by the net too."""
    np.save(tmp_path / "odd.npy", np.random.default_rng(1).random((2, 3, 8, 32, 32), np.float32))
    line = [sys.executable, "-m", "p3d", "extract", tmp_path / "odd.npy", *TINY]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    (told,) = done.stderr.splitlines()
    assert re.match(r"p3d: warning: .*odd.npy: the data is between .* scaled to 0..1", told)


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_every_batch_size_gives_the_same_features(tmp_path, real_video, batch):
    tiny = {"net": GOLDEN / "tiny.prototxt", "weights": GOLDEN / "tiny_seeded.caffemodel"}
    one = p3d.Extractor(**tiny, blobs=("pool5", "prob", "res2a"), batch=batch).extract(real_video)
    two = p3d.Extractor(**tiny, blobs=("pool5", "prob", "res2a"), batch=4).extract(real_video)
    assert one["res2a"].shape == (20, 32, 4, 8, 8)
    for blob in one:
        close(one[blob], two[blob])
    np.testing.assert_allclose(one["prob"].sum(axis=1), 1, rtol=1e-5)


def test_another_crop_needs_relax_reshape_where_the_prototxt_is_fixed(tmp_path, real_video, capsys):
    more = ["--crop", "40", "--out", str(tmp_path)]
    assert cli.main(["extract", str(real_video), *TINY, *more]) == 1
    message = capsys.readouterr().err
    assert "res5a_reshape" in message
    assert "--relax-reshape" in message
    assert cli.main(["extract", str(real_video), *TINY, *more, "-relax_reshape"]) == 0
    clips = [plain_clip(str(real_video), i, edge=41, crop=40, length=8) for i in SOME]
    expected = forward(clips, "pool5", relax_reshape=True)
    close(np.load(tmp_path / "bikes.npy")[SOME], expected.reshape(-1, 32))


def test_weights_without_a_known_net_ask_for_it(tmp_path, real_video, capsys):
    arguments = ["--weights", str(GOLDEN / "tiny_seeded.caffemodel"), "--out", str(tmp_path)]
    assert cli.main(["extract", str(real_video), *arguments]) == 1
    assert "these weights fit no net that is known here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "no.caffemodel"], "no.caffemodel"),
        (["--weights", str(GOLDEN / "tiny.prototxt")], "tiny.prototxt"),
        ([*TINY, "--net", "p3d199-kinetic"], "did you mean 'p3d199-kinetics'?"),
        ([*TINY, "--net", "no.prototxt"], "no.prototxt: there is no such prototxt"),
        ([*TINY, "--net", str(GOLDEN / "tiny_seeded.caffemodel")], "tiny_seeded.caffemodel"),
    ],
)
def test_wrong_files_are_one_line(options, message, real_video, capsys):
    assert cli.main(["extract", str(real_video), *options]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def p3d63(tmp_path_factory):
    """Random weights of P3D-63 for frames and for flow."""
    folder = tmp_path_factory.mktemp("weights")
    for net in ("p3d63-kinetics", "p3d63-kinetics-flow"):
        demo.write_weights(str(folder / f"{net}.caffemodel"), net, progress=lambda line: None)
    return folder


def write_flow(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(1701)
    for number in range(1, 31):
        for direction in "xy":
            image = rng.integers(100, 156, (40, 50), np.uint8)
            cv2.imwrite(str(folder / f"flow_{direction}_{number:05d}.jpg"), image)
    return folder


def test_net_modality_and_labels_are_told_from_the_weights(tmp_path, p3d63, real_video):
    flow = write_flow(tmp_path / "flow")
    for video, weights in ((real_video, "p3d63-kinetics"), (flow, "p3d63-kinetics-flow")):
        extractor = p3d.Extractor(
            p3d63 / f"{weights}.caffemodel", blobs=("pool5", "prob"), crop=32, size=34
        )
        features = extractor.extract(video)
        assert features["pool5"].shape == (20, 2048)
        assert features["prob"].shape == (20, 400)
        assert features["prob"].max() < 0.5, "random weights must not saturate"
        assert features.meta["net"] == weights
        assert extractor.top(features, 1)[0][0] in extractor.labels
        assert extractor.labels[0] == "abseiling"


@pytest.mark.parametrize("length", [8, 32])
def test_other_lengths_need_no_prototxt(tmp_path, p3d63, real_video, length):
    options = ["--length", str(length), "--clips", "2", "--crop", "32", "--size", "34"]
    weights = ["--weights", str(p3d63 / "p3d63-kinetics.caffemodel"), "--out", str(tmp_path)]
    assert cli.main(["extract", str(real_video), *weights, *options]) == 0
    text = models.prototxt("p3d63-kinetics", length=length, any_length=length > 16, crop=32)
    net = caffe.Net(text, caffe.TEST, weights=str(p3d63 / "p3d63-kinetics.caffemodel"))
    for clip in p3d.clips(real_video, length=length, clips=2, crop=32, size=34):
        net.blobs["data"].data[...] = clip.values
        expected = net.forward(blobs=["pool5"])["pool5"][0].ravel()
        close(np.load(tmp_path / "bikes.npy")[clip.number], expected)


def test_weights_for_flow_make_it_of_frames(tmp_path, p3d63, real_video):
    """As of the images that `p3d flow` writes, but for what JPEG loses; it can be shown."""
    frames = open_video(real_video).frames(lambda index: index < 20)
    for index, frame in zip(range(20), frames, strict=False):
        (tmp_path / "bikes").mkdir(exist_ok=True)
        cv2.imwrite(f"bikes/{index:05d}.png", cv2.resize(frame, (160, 68)))
    weights = ["--weights", str(p3d63 / "p3d63-kinetics-flow.caffemodel"), "--clips", "2"]
    assert cli.main(["flow", "bikes", "--quality", "100"]) == 0
    features = []
    for video, out in (("bikes", "made"), ("flow/bikes", "read")):
        small = ["--crop", "32", "--size", "34", "--blobs", "pool5,prob", "--out", out]
        assert cli.main(["extract", video, *weights, *small]) == 0
        features.append(np.load(f"{out}/bikes.npz")["pool5"])
    assert np.abs(features[0] - features[1]).max() < 0.05 * np.abs(features[0]).max()
    assert json.loads(Path("made/bikes.json").read_text())["flow"]["size"] == 256
    for out in ("made", "read"):
        assert cli.main(["show", f"{out}/bikes.npz", "-o", f"{out}.png"]) == 0


def test_frame_weights_take_no_flow(tmp_path, p3d63, capsys):
    flow = str(write_flow(tmp_path / "flow"))
    assert cli.main(["extract", flow, "--weights", str(p3d63 / "p3d63-kinetics.caffemodel")]) == 1
    assert "which needs weights for flow" in capsys.readouterr().err


def test_demo(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "write_videos", lambda folder: _short_videos(folder))
    monkeypatch.setenv("P3D_CACHE", str(tmp_path / "c"))
    arguments = ["--out", str(tmp_path / "o")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cli.main(["demo", "--net", "p3d63-kinetics", "--crop", "32", *arguments]) == 0
    text = capsys.readouterr().out
    assert "RANDOM WEIGHTS" in text
    assert "p3d_resnet_kinetics_iter_190000.caffemodel" in text
    picture = cv2.imread(str(tmp_path / "o" / "clips.png"))
    assert picture.shape[1] > 1000
    assert picture.std() > 20
    assert len(list((tmp_path / "o" / "features").glob("*.npz"))) == 2
    written = (tmp_path / "c" / "p3d63-kinetics-random-1701.caffemodel").stat().st_mtime_ns
    monkeypatch.delenv("P3D_CACHE")
    arguments += ["--cache", str(tmp_path / "c")]
    assert cli.main(["demo", "--net", "p3d63-kinetics", "--crop", "32", *arguments]) == 0
    assert (tmp_path / "c" / "p3d63-kinetics-random-1701.caffemodel").stat().st_mtime_ns == written


def _short_videos(folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    return [demo._write(f"{folder}/{d.__name__}", d, 20, 48, 64) for d in (demo._ball, demo._boxes)]


@pytest.mark.parametrize("ending", ["caffemodel", "caffemodel.h5"])
def test_weights_that_do_not_fill_the_net_are_refused(tmp_path, ending):
    """Caffe leaves such layers to their fillers: features that mean nothing, without a word."""
    text = (GOLDEN / "tiny.prototxt").read_text()
    weights = tmp_path / f"tiny.{ending}"
    net = caffe.Net(text, caffe.TEST)
    (net.save_hdf5 if ending.endswith("h5") else net.save)(str(weights))
    layers = [name for name, blobs in net.params.items() if blobs]
    first, last = layers[0], layers[-1]
    renamed = tmp_path / "renamed.prototxt"

    renamed.write_text(text.replace(f'"{first}"', '"another"'))
    with pytest.raises(p3d.Error, match="has no weights for another, which pool5 of"):
        p3d.Extractor(weights, renamed)
    renamed.write_text(text.replace(f'"{last}"', '"another"'))
    p3d.Extractor(weights, renamed)  # a new head, which pool5 does not need
    with pytest.raises(p3d.Error, match="has no weights for another, which prob of"):
        p3d.Extractor(weights, renamed, blobs=["prob"])
