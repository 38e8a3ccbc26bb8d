"""Video files: what decodes counts, whatever the header says."""

from __future__ import annotations

import os
import struct
import wave

import cv2
import drawn
import numpy as np
import pytest

from p3d import Error
from p3d.video.clips import ClipReader, open_video
from p3d.video.decode import VideoFile, opencv_threads_off
from p3d.video.recipe import recipe_named


def frames(path) -> list[np.ndarray]:
    return list(open_video(path).frames(lambda _: True))


def rotate(mp4: bytes, degrees: int) -> bytes:
    """The same file with metadata that say: turn by so many degrees, clockwise."""
    at = mp4.index(b"tkhd") + 4
    matrix = at + 4 + (20 if mp4[at] == 0 else 32) + 16
    assert struct.unpack_from(">9i", mp4, matrix) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    cos, sin = {90: (0, 65536), 180: (-65536, 0), 270: (0, -65536)}[degrees]
    turned = struct.pack(">9i", cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30)
    return mp4[:matrix] + turned + mp4[matrix + 36 :]


def variable(mp4: bytes, first: int, later: int) -> bytes:
    """The same file, but from frame `first` on every frame lasts `later` times as long."""
    at = mp4.index(b"stts")
    (size,) = struct.unpack_from(">I", mp4, at - 4)
    entries, count, delta = struct.unpack_from(">III", mp4, at + 8)
    assert (size, entries) == (24, 1)
    table = struct.pack(">IIIII", 2, first, delta, count - first, delta * later)
    data = bytearray(mp4[: at + 8] + table + mp4[at + 20 :])
    for box in (b"stts", b"stbl", b"minf", b"mdia", b"trak", b"moov"):  # all are 8 bytes longer
        place = data.index(box) - 4
        struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] + 8)
    return bytes(data).replace(b"edts", b"free")  # the edit list knows the old duration


@pytest.mark.parametrize(("codec", "suffix"), [("mp4v", ".mp4"), ("MJPG", ".avi")])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_every_frame_is_decoded_in_order(tmp_path, codec, suffix, count):
    path = drawn.write_video(tmp_path / f"a b ü%05d{suffix}", count, codec=codec)
    decoded = frames(path)
    assert len(decoded) == VideoFile(str(path)).estimate() == count
    for index, frame in enumerate(decoded):
        assert frame.shape == (48, 64, 3)
        assert frame.dtype == np.uint8
        # Coding loses a little; the grey level tells neighbours apart (7 levels).
        assert abs(float(frame[20:28, 20:40].mean(axis=2).min()) - (40 + index * 7 % 160)) < 20
    blue, red = decoded[0][4, 8], decoded[0][-4, -8]
    assert blue[0] > 200 > 100 > blue[2], "channels are B, G, R"
    assert red[2] > 200 > 100 > red[0], "channels are B, G, R"


def test_file_names_that_are_no_text(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4")
    try:
        os.rename(drawn.write_video(tmp_path / "a.mp4", 5), path)
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    assert VideoFile(path).estimate() == len(frames(path)) == 5
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xe4")
    os.rename(drawn.write_frames(tmp_path / "f", "%d.png", range(3)), folder)
    assert all(np.array_equal(f, drawn.picture(i)) for i, f in enumerate(frames(folder)))


def test_unwanted_frames_are_counted_but_not_converted(tmp_path):
    path = drawn.write_video(tmp_path / "a.mp4", 12)
    some = list(VideoFile(str(path)).frames(lambda index: index in (3, 7)))
    assert [index for index, frame in enumerate(some) if frame is not None] == [3, 7]
    assert len(some) == 12
    everything = frames(path)
    assert np.array_equal(some[7], everything[7])


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_are_applied_as_phones_write_them(tmp_path, degrees):
    plain = drawn.write_video(tmp_path / "a.mp4", 5)
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(rotate(plain.read_bytes(), degrees))
    video = VideoFile(str(turned))
    for a, b in zip(frames(plain), video.frames(lambda _: True), strict=True):
        assert np.array_equal(np.rot90(a, -degrees // 90), b)
    h, w = (48, 64) if degrees == 180 else (64, 48)
    assert video.record() == {"fps": 25.0, "rotation": degrees, "height": h, "width": w}


def test_a_variable_frame_rate_is_told_by_timestamps(tmp_path):
    steady = drawn.write_video(tmp_path / "steady.mp4", 20)
    path = tmp_path / "variable.mp4"
    path.write_bytes(variable(steady.read_bytes(), 8, 5))
    video = VideoFile(str(path))
    times = [video.position.time for _ in video.frames(lambda _: False)]
    expected = [0.04 * min(i, 8) + 0.2 * max(0, i - 8) for i in range(20)]
    np.testing.assert_allclose(times, expected, atol=2e-3)
    reader = ClipReader(open_video(path), recipe_named("author20", fps=5, stride=4, length=4))
    assert len(list(reader.pixels())) == 3
    assert reader.record()["starts"] == [0, 11, 15]


class Timeless:
    """A capture whose last frames have no time, as with a decoder that holds some back before
    OpenCV 4.7."""

    def __init__(self, capture: cv2.VideoCapture, timed: int) -> None:
        self._capture, self._timed, self._grabbed = capture, timed, 0

    def grab(self) -> bool:
        self._grabbed += 1
        return self._capture.grab()

    def get(self, what: int) -> float:
        known = what != cv2.CAP_PROP_POS_MSEC or self._grabbed <= self._timed
        return self._capture.get(what) if known else 0.0

    def __getattr__(self, name: str):
        return getattr(self._capture, name)


def test_frames_without_a_time_follow_the_others(tmp_path, monkeypatch):
    path = drawn.write_video(tmp_path / "a.mp4", 50)
    capture = Timeless(cv2.VideoCapture(str(path)), timed=46)
    monkeypatch.setattr("p3d.video.decode._open", lambda *_: capture)
    source = VideoFile(str(path))
    times = [source.position.time for _ in source.frames(lambda _: False)]
    np.testing.assert_allclose(times, np.arange(50) / 25, atol=1e-6)


def test_a_header_that_promises_too_much_is_not_believed(tmp_path):
    whole = drawn.write_video(tmp_path / "whole.avi", 40, codec="MJPG").read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(whole[: len(whole) * 6 // 10])
    header = cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)
    video = VideoFile(str(path))
    with pytest.warns(UserWarning, match=r"ends after 0\.\d s, by its header it has 1\.6 s"):
        count = sum(1 for _ in video.frames(lambda _: False))
    assert header == 40
    assert 10 < count < 30
    assert sum(1 for _ in video.frames(lambda _: True)) == count, "and it is not told again"


def audio(path):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\1" * 8000)


def no_frames(path):
    cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (64, 48)).release()


def without_index(path):
    whole = drawn.write_video(path, 40).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def blank_data(path):
    whole = drawn.write_video(path, 40).read_bytes()
    at = whole.index(b"mdat")
    size = struct.unpack(">I", whole[at - 4 : at])[0]
    path.write_bytes(whole[: at + 4] + bytes(size - 8) + whole[at - 4 + size :])


def test_a_picture_is_no_video(tmp_path):
    """`p3d extract frames/*.jpg` made twenty equal clips of each."""
    (path,) = drawn.write_frames(tmp_path / "f", "%06d.jpg", range(1)).iterdir()
    with pytest.raises(Error, match="is one picture: name its folder"):
        open_video(path)
    assert len(frames(path.parent)) == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "no numbered frames in it"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: os.mkfifo(path), "is not a file"),
        (lambda path: path.write_text("[video]" * 1000), "no video in it"),
        (lambda path: path.write_bytes(os.urandom(5000)), "no video in it"),
        (audio, "sound only"),
        (no_frames, "no video in it|not one frame|is empty"),
        (without_index, "damaged or cut off"),
        (blank_data, "not one frame of it can be decoded"),
    ],
)
def test_broken_files_give_one_clear_error(tmp_path, spoil, message):
    path = tmp_path / "x.mp4"
    spoil(path)
    with pytest.raises(Error, match=message) as error:
        list(open_video(path).frames(lambda _: True))
    assert str(error.value).startswith(str(path))


@pytest.mark.filterwarnings("ignore:.*may be cut off")
def test_bytes_changed_at_random_give_frames_or_an_error(tmp_path):
    whole = drawn.write_video(tmp_path / "a.mp4", 20).read_bytes()
    rng = np.random.default_rng(1701)
    path = tmp_path / "b.mp4"
    outcomes = set()
    for case in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 1 + case % 30):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            for frame in VideoFile(str(path)).frames(lambda _: True):
                assert frame.ndim == 3, f"case {case}"
            outcomes.add("frames")
        except Error:
            outcomes.add("error")
    assert outcomes == {"frames", "error"}


def test_opencv_threads_are_restored_in_whatever_order_blocks_end():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        first, second = opencv_threads_off(), opencv_threads_off()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert cv2.getNumThreads() == 1
        second.__exit__(None, None, None)
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_a_reader_that_stops_early_gives_threads_and_file_back(tmp_path):
    path = drawn.write_video(tmp_path / "a.mp4", 30)
    before = cv2.getNumThreads()
    reading = VideoFile(str(path)).frames(lambda _: True)
    next(reading)
    reading.close()
    assert cv2.getNumThreads() == before
