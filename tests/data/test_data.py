"""Data by upstream's rules: an LMDB database gives what ImageData gives of the same images."""

from __future__ import annotations

from pathlib import Path

import cv2
import golden_cases
import numpy as np
import pytest
from data.databases import write

import p3d.caffe as caffe
from p3d.caffe.proto import caffe_pb2

pytestmark = pytest.mark.embedded


def picture(number: int, h: int = 7, w: int = 9) -> np.ndarray:
    """Channels first, B G R."""
    return np.random.default_rng(number).integers(0, 256, (3, h, w)).astype(np.uint8)


def raw(number: int, h: int = 7, w: int = 9) -> bytes:
    return caffe.io.array_to_datum(picture(number, h, w), 10 * number).SerializeToString()


def encoded(image: np.ndarray, label: int = 0) -> bytes:
    """An image (h, w, c) as a PNG file in a Datum."""
    data = cv2.imencode(".png", image)[1].tobytes()
    return caffe_pb2.Datum(data=data, encoded=True, label=label).SerializeToString()


def database(folder: Path, *values: bytes) -> Path:
    return write(folder / "lmdb", {b"%08d" % i: value for i, value in enumerate(values)})


def net(
    source: Path | str,
    param: str = "batch_size: 1",
    transform: str = "",
    phase: int = caffe.TRAIN,
    tops: str = 'top: "data" top: "label"',
) -> caffe.Net:
    return caffe.Net(
        f'layer {{ name: "d" type: "Data" {tops} '
        f'data_param {{ source: "{source}" {"backend: LMDB" * ("backend" not in param)} {param} }} '
        f"transform_param {{ {transform} }} }}",
        phase,
    )


def test_batches_go_on_from_the_end_to_the_start(tmp_path: Path) -> None:
    made = net(database(tmp_path, raw(0), raw(1), raw(2)), "batch_size: 2")
    assert tuple(made.blobs["label"].shape) == (2,)
    for first in (0, 2, 1):
        made.forward()
        for place, number in enumerate((first, (first + 1) % 3)):
            np.testing.assert_array_equal(made.blobs["data"].data[place], picture(number))
            assert made.blobs["label"].data[place] == 10 * number


@pytest.mark.parametrize("stored", ["raw", "float", "png", "grey"])
def test_what_a_real_caffe_gave(tmp_path: Path, stored: str, monkeypatch) -> None:
    """Caffe 1.0 with LMDB and OpenCV: seven records of 11x14, three batches of three."""
    golden = golden_cases.load("data_layer", stored)
    records = [golden[f"record{i}"].tobytes() for i in range(7)]
    source = database(tmp_path, *records)
    (tmp_path / "mean.binaryproto").write_bytes(golden["mean"].tobytes())
    monkeypatch.chdir(tmp_path)
    cases = [key.split("/")[0] for key in golden if key.endswith("/transform")]
    for case in cases:
        made = net(source, "batch_size: 3", str(golden[f"{case}/transform"]), caffe.TEST)
        for batch in range(3):
            made.forward()
            for name in ("data", "label"):
                found, expected = made.blobs[name].data, golden[f"{case}/{name}"][batch]
                np.testing.assert_array_equal(found, expected, f"{stored}, {case}, batch {batch}")


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize(
    "transform",
    [
        "",
        "crop_size: 4 mirror: true scale: 0.5 mean_value: 100",
        "crop_size: 7 mean_value: 1 mean_value: 2 mean_value: 3",
    ],
)
@pytest.mark.parametrize("stored", ["raw", "encoded"])
def test_as_image_data_of_the_same_images(
    tmp_path: Path, phase: int, transform: str, stored: str
) -> None:
    images = [picture(number).transpose(1, 2, 0) for number in range(5)]
    values = [raw(i) if stored == "raw" else encoded(x, 10 * i) for i, x in enumerate(images)]
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{number}.png {10 * number}\n" for number in range(5)))
    caffe.set_random_seed(1)
    made = net(database(tmp_path, *values), "batch_size: 3", transform, phase)
    caffe.set_random_seed(1)
    other = caffe.Net(
        'layer { name: "i" type: "ImageData" top: "data" top: "label" image_data_param '
        f'{{ source: "{listed}" root_folder: "{tmp_path}/" batch_size: 3 }} '
        f"transform_param {{ {transform} }} }}",
        phase,
    )
    for _ in range(4):
        made.forward()
        other.forward()
        for name in ("data", "label"):
            np.testing.assert_array_equal(made.blobs[name].data, other.blobs[name].data)


def test_floats_and_no_label(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(5, 2, 3)).astype(np.float32)
    datum = caffe.io.array_to_datum(values).SerializeToString()
    made = net(database(tmp_path, datum), transform="scale: 2", tops='top: "data"')
    made.forward()
    np.testing.assert_array_equal(made.blobs["data"].data[0], 2 * values)


def test_colour_and_grey_of_encoded_images(tmp_path: Path) -> None:
    grey = np.arange(42, dtype=np.uint8).reshape(6, 7)
    colour = picture(3, 6, 7).transpose(1, 2, 0)
    source = database(tmp_path, encoded(grey), encoded(colour))
    made = net(source)
    made.forward()
    np.testing.assert_array_equal(made.blobs["data"].data, grey[None, None])
    with pytest.raises(RuntimeError, match="key 00000001: has 3 channels, the first image 1"):
        made.forward()
    made = net(source, "batch_size: 2", "force_color: true")
    made.forward()
    np.testing.assert_array_equal(made.blobs["data"].data[0], np.stack([grey] * 3))
    np.testing.assert_array_equal(made.blobs["data"].data[1], colour.transpose(2, 0, 1))
    made = net(source, "batch_size: 2", "force_gray: true")
    made.forward()
    assert tuple(made.blobs["data"].shape) == (2, 1, 6, 7)
    np.testing.assert_array_equal(made.blobs["data"].data[0, 0], grey)


def test_a_state_goes_on_with_the_next_batch(tmp_path: Path) -> None:
    source = database(tmp_path, *map(raw, range(5)))
    one, other = (net(source, "batch_size: 3", "crop_size: 4 mirror: true") for _ in range(2))
    for _ in range(4):
        one.forward()
    other.layers[0].python_object.load_state(one.layers[0].python_object.save_state())
    for _ in range(4):
        one.forward()
        other.forward()
        for name in ("data", "label"):
            np.testing.assert_array_equal(one.blobs[name].data, other.blobs[name].data)


def test_rand_skip_starts_later(tmp_path: Path) -> None:
    source = database(tmp_path, *map(raw, range(5)))
    starts = set()
    for _ in range(40):
        made = net(source, "batch_size: 1 rand_skip: 3")
        made.forward()
        starts.add(float(made.blobs["label"].data[0]))
    assert starts == {0, 10, 20}


SHORT = caffe_pb2.Datum(channels=3, height=4, width=5, data=b"123").SerializeToString()
HUGE = caffe_pb2.Datum(channels=2**31 - 1, height=2**31 - 1, width=4, data=b"1").SerializeToString()


@pytest.mark.parametrize(
    ("values", "param", "transform", "message"),
    [
        ([], "batch_size: 1", "", "lmdb is empty"),
        ([raw(0)], "batch_size: 0", "", "batch_size has to be 1"),
        (
            [raw(0)],
            "batch_size: 1",
            "crop_size: 8",
            "key 00000000: crop_size 8 is larger than the image, 9x7",
        ),
        (
            [raw(0)],
            "batch_size: 1",
            "force_color: true force_gray: true",
            "both force_color and force_gray",
        ),
        (
            [raw(0)],
            "batch_size: 1",
            "mean_value: 1 mean_value: 2",
            "2 values of mean_value for 3 channels",
        ),
        ([b"\xff\xff"], "batch_size: 1", "", "key 00000000: is no Datum"),
        ([b""], "batch_size: 1", "", "key 00000000: has no image"),
        ([SHORT], "batch_size: 1", "", "key 00000000: has no image"),
        ([HUGE], "batch_size: 1", "", "key 00000000: has no image"),
        ([encoded(np.zeros((2, 2), np.uint16))], "batch_size: 1", "", "key 00000000: has no image"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, values: list[bytes], param: str, transform: str, message: str
) -> None:
    with pytest.raises(RuntimeError, match=f"Data 'd'.*{message}"):
        net(database(tmp_path, *values), param, transform)


@pytest.mark.parametrize(("source", "message"), [("", "needs a source"), ("no", "no such file")])
def test_no_database(source: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=f"Data 'd'.*{message}"):
        net(source)


def test_leveldb_is_what_caffe_takes_where_nothing_is_said() -> None:
    with pytest.raises(RuntimeError, match=r"Data 'd'.*x is said to be a LevelDB .*backend: LMDB"):
        caffe.Net('layer { name: "d" type: "Data" top: "x" data_param { source: "x" } }', 0)


def test_a_batch_of_different_sizes(tmp_path: Path) -> None:
    made = net(database(tmp_path, raw(0), raw(1, 5, 4)), "batch_size: 2")
    with pytest.raises(RuntimeError, match=r"key 00000001: gives \(3, 5, 4\).*one size"):
        made.forward()
