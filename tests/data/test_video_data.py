"""The VideoData layer: which clips come, what they hold, and what it refuses."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_layers import batches, flow_folder, frame_folder, net, numbered, places, write_list

import p3d.caffe as caffe

pytestmark = pytest.mark.embedded

WHOLE = "new_height: 24 new_width: 32 new_length: 4"


def folders(tmp_path: Path, *counts: int, starts: dict[int, int] | None = None) -> Path:
    """Video i has counts[i] frames and the label 10 i."""
    lines = []
    for video, count in enumerate(counts):
        frame_folder(tmp_path / str(video), video, count)
        start = f"{starts[video]} " if starts and video in starts else ""
        lines.append(f"{tmp_path / str(video)} {start}{10 * video}")
    return write_list(tmp_path, lines)


def test_train_has_one_random_clip_per_video_and_epoch(tmp_path: Path) -> None:
    made = net(folders(tmp_path, 6, 4, 9), f"{WHOLE} batch_size: 3 seed: 1")
    assert tuple(made.blobs["data"].shape) == (3, 3, 4, 24, 32)
    assert tuple(made.blobs["label"].shape) == (3,)
    starts: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for data, label in batches(made, 40):
        assert label.tolist() == [0, 10, 20]
        for place, (video, frames) in enumerate(places(data)):
            assert video == place
            assert frames == list(range(frames[0], frames[0] + 4))
            starts[video].add(frames[0])
            expected = [numbered(video, frame).transpose(2, 0, 1) for frame in frames]
            np.testing.assert_array_equal(data[place], np.stack(expected, 1))
    assert starts == {0: {0, 1, 2}, 1: {0}, 2: set(range(6))}


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("", [(0, [3]), (1, [0]), (2, [5])]),
        ("num_clips: 3", [(0, [0, 3, 6]), (1, [0, 0, 0]), (2, [5])]),
        ("num_clips: 2 sampling_rate: 2", [(0, [0, 3]), (1, [0, 0]), (2, [5])]),
    ],
)
def test_test_has_evenly_spaced_clips(tmp_path: Path, param: str, expected) -> None:
    source = folders(tmp_path, 10, 3, 12, starts={2: 5})
    made = net(source, f"{WHOLE} {param}", caffe.TEST)
    for video, starts in expected * 2:
        for start in starts:
            (((data, label),)) = batches(made, 1)
            rate = 2 if "sampling_rate" in param else 1
            count = (10, 3, 12)[video]
            frames = [(start + rate * i) % count for i in range(4)]
            assert places(data) == [(video, frames)]
            assert label.tolist() == [10 * video]


@pytest.mark.parametrize(
    ("starts", "param", "expected"),
    [
        ({0: 7}, "", {7}),
        ({0: 7}, "use_temporal_jitter: true", set(range(9))),
        ({}, "use_temporal_jitter: false", {4}),
        ({0: 10}, "", {10}),  # goes on with the first frame
    ],
)
def test_temporal_jitter(tmp_path: Path, starts, param: str, expected: set[int]) -> None:
    made = net(folders(tmp_path, 12, starts=starts), f"{WHOLE} seed: 2 {param}")
    found = [places(data)[0][1] for data, _ in batches(made, 100)]
    assert {frames[0] for frames in found} == expected
    assert all(frames == [(frames[0] + i) % 12 for i in range(4)] for frames in found)


def test_shuffle_is_another_order_every_epoch_and_a_seed_repeats_it(tmp_path: Path) -> None:
    source = folders(tmp_path, *[5] * 7)
    param = f"{WHOLE} batch_size: 7 shuffle: true"
    found = [label.tolist() for _, label in batches(net(source, f"{param} seed: 1"), 4)]
    assert all(sorted(epoch) == list(range(0, 70, 10)) for epoch in found)
    assert len({tuple(epoch) for epoch in found}) == 4
    again = [label.tolist() for _, label in batches(net(source, f"{param} seed: 1"), 4)]
    assert again == found
    caffe.set_random_seed(5)
    first = batches(net(source, param), 2)
    caffe.set_random_seed(5)
    for one, other in zip(first, batches(net(source, param), 2), strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_rand_skip_starts_later(tmp_path: Path) -> None:
    source = folders(tmp_path, *[4] * 5)
    starts = {
        batches(net(source, f"{WHOLE} rand_skip: 3 seed: {seed}"), 1)[0][1][0] for seed in range(40)
    }
    assert starts == {0, 10, 20}


def test_crop_flip_mean_and_scale(tmp_path: Path) -> None:
    means = "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5"
    made = net(folders(tmp_path, 4), f"crop_size: 20 new_length: 4 mirror: true {means} seed: 3")
    video = np.stack([numbered(0, i).transpose(2, 0, 1) for i in range(4)], 1).astype(np.float32)
    video = (video - np.float32([104, 117, 123]).reshape(3, 1, 1, 1)) / 2
    crops = {
        video[..., y : y + 20, x : x + 20][..., ::step].tobytes(): (y, x, step)
        for y in range(5)
        for x in range(13)
        for step in (1, -1)
    }
    seen = {crops[data[0].tobytes()] for data, _ in batches(made, 1000)}
    assert len(seen) == len(crops)


def test_flipped_flow_changes_the_sign_of_x_after_the_mean(tmp_path: Path) -> None:
    source = write_list(tmp_path, [f"{flow_folder(tmp_path / 'a', 3, 4)} 1"])
    param = "use_flow: true mean_value: 128 mirror: true seed: 4"
    made = net(source, f"{WHOLE} {param}")
    assert tuple(made.blobs["data"].shape) == (1, 2, 4, 24, 32)
    video = np.stack([numbered(3, i, c=2).transpose(2, 0, 1) for i in range(4)], 1) - 128.0
    flipped = video[..., ::-1] * np.reshape([-1, 1], (2, 1, 1, 1))
    seen = [
        [np.array_equal(data[0], expected) for expected in (video, flipped)]
        for data, _ in batches(made, 20)
    ]
    assert sorted(map(tuple, set(map(tuple, seen)))) == [(False, True), (True, False)]


@pytest.mark.parametrize("shape", [(3, 24, 32), (1, 3, 24, 32), (1, 3, 4, 24, 32)])
def test_mean_file_is_cut_and_flipped_with_the_clip(tmp_path: Path, shape) -> None:
    mean = np.random.default_rng(9).normal(100, 20, shape).astype(np.float32)
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(caffe.io.array_to_blobproto(mean).SerializeToString())
    made = net(
        folders(tmp_path, 4),
        f'{WHOLE} crop_size: 20 mirror: true mean_file: "{path}" seed: 5',
    )
    video = np.stack([numbered(0, i).transpose(2, 0, 1) for i in range(4)], 1)
    minus = mean.reshape(3, -1, 24, 32)
    crops = {
        (video - minus)[..., y : y + 20, x : x + 20][..., ::step].astype(np.float32).tobytes()
        for y in range(5)
        for x in range(13)
        for step in (1, -1)
    }
    assert all(data[0].tobytes() in crops for data, _ in batches(made, 30))


@pytest.mark.parametrize("mode", ["CORNER", "RESIZED"])
def test_crop_modes_of_other_codes(tmp_path: Path, mode: str) -> None:
    source = folders(tmp_path, 4)
    param = f"crop_size: 12 new_length: 4 crop_mode: {mode} seed: 6"
    train = batches(net(source, param), 20)
    assert len({data.tobytes() for data, _ in train}) > 10
    (centre,) = batches(net(source, param, caffe.TEST), 1)
    small = cv2.resize(numbered(0, 0), (16, 12))[:, 2:14]
    np.testing.assert_array_equal(centre[0][0, :, 0], small.transpose(2, 0, 1))


def test_jitter_is_one_for_a_clip_and_not_for_tests(tmp_path: Path) -> None:
    image = numbered(0, 0)
    for frame in range(4):
        folder = tmp_path / "still"
        folder.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"{frame}.png"), image)
    source = write_list(tmp_path, [f"{tmp_path / 'still'} 0"])
    param = f"{WHOLE} brightness: 0.4 contrast: 0.4 saturation: 0.4 hue: 0.1 seed: 7"
    found = batches(net(source, param), 4)
    for data, _ in found:
        assert all(np.array_equal(data[0, :, 0], data[0, :, i]) for i in range(4))
    assert len({data.tobytes() for data, _ in found}) == 4
    (plain,) = batches(net(source, param, caffe.TEST), 1)
    np.testing.assert_array_equal(plain[0][0, :, 0], image.transpose(2, 0, 1))


def test_without_labels_there_is_one_top(tmp_path: Path) -> None:
    frame_folder(tmp_path / "a b", 3, 4)
    source = write_list(tmp_path, ["a b"])
    made = net(source, f'{WHOLE} use_label: false root_folder: "{tmp_path}/"', tops=1)
    made.forward()
    assert places(made.blobs["data"].data) == [(3, [0, 1, 2, 3])]


def test_every_kind_of_video(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    frames = [np.full((24, 32, 3), 20 * i, np.uint8) for i in range(9)]
    writer = cv2.VideoWriter(
        str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (32, 24)
    )
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        data = file.create_dataset("video", (9,), dtype=h5py.special_dtype(vlen=np.uint8))
        for index, frame in enumerate(frames):
            writer.write(frame)
            data[index] = cv2.imencode(".jpg", frame)[1].ravel()
    writer.release()
    source = write_list(tmp_path, [f"{tmp_path / name} 2 0" for name in ("a.mp4", "b.hdf5")])
    made = net(source, f"{WHOLE} batch_size: 2 sampling_rate: 2")
    made.forward()
    found = made.blobs["data"].data.mean((1, 3, 4))
    np.testing.assert_allclose(found, [[40, 80, 120, 160]] * 2, atol=3)


@pytest.mark.parametrize("pair", ["flow_x", "flow_y"])
def test_a_pair_of_flow_folders(tmp_path: Path, pair: str) -> None:
    both = flow_folder(tmp_path / "both", 2, 5)
    for name in ("flow_x", "flow_y"):
        (tmp_path / name / "dive").mkdir(parents=True)
        for file in both.glob(f"{name}_*"):
            file.rename(tmp_path / name / "dive" / file.name.removeprefix(f"{name}_"))
    source = write_list(tmp_path, [f"{tmp_path / pair / 'dive'} 1 0"])
    made = net(source, f"{WHOLE} use_flow: true")
    made.forward()
    expected = np.stack([numbered(2, i, c=2).transpose(2, 0, 1) for i in range(1, 5)], 1)
    np.testing.assert_array_equal(made.blobs["data"].data[0], expected)


def test_transform_param_says_the_same_by_the_same_names(tmp_path: Path) -> None:
    source = folders(tmp_path, 6)
    own = "crop_size: 20 mirror: true scale: 0.5 mean_value: 1 mean_value: 2 mean_value: 3"
    text = (
        'layer {{ name: "v" type: "VideoData" top: "data" top: "label" transform_param {{ {} }} '
        'video_data_param {{ source: "{}" new_length: 4 workers: 0 seed: 1 {} }} }}'
    )
    one = caffe.Net(text.format(own, source, ""), caffe.TRAIN)
    other = caffe.Net(text.format("mean_value: 9 crop_size: 4", source, own), caffe.TRAIN)
    for (a, _), (b, _) in zip(batches(one, 5), batches(other, 5), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_python_layer_is_the_same(tmp_path: Path) -> None:
    param = f"source: '{folders(tmp_path, 6, 6)}' {WHOLE} mirror: true seed: 1 workers: 0"
    text = (
        'layer {{ name: "v" type: "Python" top: "data" top: "label" python_param {{ '
        'module: "p3d.video_data" layer: "VideoData" param_str: "{}" }} }}'
    )
    one = caffe.Net(text.format(param), caffe.TRAIN)
    other = net(tmp_path / "list.txt", f"{WHOLE} mirror: true seed: 1")
    for (a, _), (b, _) in zip(batches(one, 5), batches(other, 5), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("before", [0, 1, 4, 9])
def test_a_state_goes_on_with_the_next_batch(tmp_path: Path, before: int) -> None:
    source = folders(tmp_path, 6, 9, 5, 7, 8)
    param = f"{WHOLE} crop_size: 20 mirror: true shuffle: true batch_size: 2 hue: 0.1 rand_skip: 3"
    one, other = net(source, param), net(source, param)
    batches(one, before)
    state = one.layers[0].python_object.save_state()
    expected = batches(one, 5)
    other.layers[0].python_object.load_state(state)
    one.layers[0].python_object.load_state(state)
    for made in (one, other):
        for (a, b), (c, d) in zip(expected, batches(made, 5), strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)


def test_a_state_of_another_list(tmp_path: Path) -> None:
    state = net(folders(tmp_path, 4, 4), WHOLE).layers[0].python_object.save_state()
    other = net(folders(tmp_path / "other", 4), WHOLE).layers[0].python_object
    with pytest.raises(RuntimeError, match="others than those of the snapshot"):
        other.load_state(state)
    with pytest.raises(RuntimeError, match="no state of a data layer"):
        other.load_state(b"\x00")


def test_a_state_goes_on_where_the_videos_were_moved(tmp_path: Path) -> None:
    source = write_list(tmp_path, ["0 0", "1 10"])
    for place in ("here", "there"):
        folders(tmp_path / place, 6, 5)
    here, there = (
        net(source, f'{WHOLE} shuffle: true root_folder: "{tmp_path / place}/"')
        for place in ("here", "there")
    )
    batches(here, 3)
    there.layers[0].python_object.load_state(here.layers[0].python_object.save_state())
    for (a, _), (b, _) in zip(batches(here, 4), batches(there, 4), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_root_folder_without_its_slash(tmp_path: Path) -> None:
    folders(tmp_path, 4, 4)
    source = write_list(tmp_path, ["0 0", "1 10"])
    with pytest.raises(RuntimeError, match=rf"'{tmp_path}' has no / at its end.* {tmp_path}0"):
        net(source, f'{WHOLE} root_folder: "{tmp_path}"')
    assert batches(
        net(write_list(tmp_path, ["/0 0", "/1 1"]), f'{WHOLE} root_folder: "{tmp_path}"'), 1
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a.mp4 0\n".encode("utf-16"), "is UTF-16, as PowerShell's > writes it: save it as UTF-8"),
        (b"RIFF\0\1\2\n 0", "is no text"),
    ],
)
def test_a_list_that_is_no_text(tmp_path: Path, content: bytes, message: str) -> None:
    source = tmp_path / "list.txt"
    source.write_bytes(content)
    with pytest.raises(RuntimeError, match=message):
        net(source, WHOLE)


def with_bad(tmp_path: Path, good: int, bad: int) -> Path:
    """Bad videos of several kinds among good ones."""
    lines = []
    for video in range(good):
        lines.append(f"{frame_folder(tmp_path / str(video), video, 5)} {video}")
    for number in range(bad):
        path = tmp_path / f"bad{number}.mp4"
        if number % 3:
            path.write_bytes(b"nothing" * number)
        lines.insert(1 + 2 * number, f"{path} 0")
    return write_list(tmp_path, lines)


def test_bad_videos_are_left_out_with_one_warning_each(tmp_path: Path) -> None:
    made = net(with_bad(tmp_path, 5, 3), f"{WHOLE} max_bad_share: 0.5")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = batches(made, 15)
    assert [label[0] for _, label in found] == [0, 1, 2, 3, 4] * 3
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == 3
    assert all(f"bad{i}.mp4" in text for i, text in enumerate(texts))
    assert "there is no such file" in texts[0]


@pytest.mark.parametrize(
    ("good", "bad", "share", "fails"),
    [(5, 1, 0.01, False), (5, 2, 0.01, True), (5, 1, 0, True), (0, 1, 1, True), (3, 3, 0.5, False)],
)
def test_more_bad_videos_than_allowed(tmp_path: Path, good, bad, share, fails) -> None:
    made = net(with_bad(tmp_path, good, bad), f"{WHOLE} max_bad_share: {share}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not fails:
            batches(made, 10)
            return
        with pytest.raises(RuntimeError, match=rf"'v': source .* {bad} of {good + bad} videos"):
            batches(made, 10)


@pytest.mark.parametrize(
    ("lines", "param", "message"),
    [
        ([], "", "list.txt is empty"),
        (["", "  "], "", "list.txt is empty"),
        (["a.mp4 0", "b.mp4"], "", "line 2: 'b.mp4' is not \"path label\""),
        (["a.mp4 0", "", "b.mp4 dog"], "", "line 3: 'b.mp4 dog'"),
        (["a.mp4 0.5"], "", "line 1"),
        (["7"], "", "line 1"),
        (["a.mp4 -1"], "", "line 1: 'a.mp4 -1' has label -1: labels are 0 to"),
        (["a.mp4 1", "b.mp4 5"], "num_classes: 5", "line 2: .* has label 5: labels are 0 to 4"),
        (["a.mp4 -3 1"], "", "line 1: .* impossible start_frame: frames count from 0"),
        (["a.mp4 0"], "batch_size: 0", "batch_size 0 is not possible"),
        (["a.mp4 0"], "new_length: 0", "new_length 0 is not possible"),
        (["a.mp4 0"], "max_bad_share: 2", "max_bad_share 2.0 is no share"),
        (["a.mp4 0"], "mean_value: 1 mean_value: 2", "2 values of mean_value for 3 channels"),
        (["a.mp4 0"], "crop_size: 40", "crop_size 40 does not fit"),
        (["a.mp4 0"], "hue: 1", "hue is 0 to 0.5"),
    ],
)
def test_what_cannot_be(tmp_path: Path, lines: list[str], param: str, message: str) -> None:
    base = "new_height: 24 new_width: 32"
    base += "" if "new_length" in param else " new_length: 4"
    with pytest.raises(RuntimeError, match=rf"VideoData 'v': .*{message}"):
        net(write_list(tmp_path, lines), f"{base} {param}")


@pytest.mark.parametrize(("use_label", "tops"), [("true", 1), ("false", 2)])
def test_tops_that_do_not_fit(tmp_path: Path, use_label: str, tops: int) -> None:
    with pytest.raises(RuntimeError, match=r"VideoData 'v': takes . tops"):
        net(write_list(tmp_path, ["a 0"]), f"{WHOLE} use_label: {use_label}", tops=tops)


def test_no_list(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"none\.txt cannot be read: No such file"):
        net(tmp_path / "none.txt", WHOLE)


def test_frames_of_several_sizes_are_a_bad_video(tmp_path: Path) -> None:
    folder = frame_folder(tmp_path / "a", 0, 4)
    cv2.imwrite(str(folder / "img_00002.png"), numbered(0, 1, h=20))
    made = net(write_list(tmp_path, [f"{folder} 0"]), WHOLE)
    with pytest.raises(RuntimeError, match="its frames are not all of one size"):
        made.forward()
