"""ImageData by upstream's rules, transform_param among them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import p3d
import p3d.caffe as caffe

pytestmark = pytest.mark.embedded


def picture(number: int, h: int = 7, w: int = 9) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (h, w, 3)).astype(np.uint8)


def images(folder: Path, *sizes: tuple[int, int]) -> Path:
    """A list of images img 0.png, img 1.png... of these sizes with their numbers times 10."""
    lines = []
    for number, size in enumerate(sizes):
        cv2.imwrite(str(folder / f"img {number}.png"), picture(number, *size))
        lines.append(f"img {number}.png {10 * number}")
    source = folder / "list.txt"
    source.write_text("\n".join(lines) + "\n\n")
    return source


def net(source: Path, param: str = "", transform: str = "", phase: int = caffe.TRAIN) -> caffe.Net:
    return caffe.Net(
        'layer { name: "i" type: "ImageData" top: "data" top: "label" '
        f'image_data_param {{ source: "{source}" root_folder: "{source.parent}/" {param} }} '
        f"transform_param {{ {transform} }} }}",
        phase,
    )


def labels(made: caffe.Net, batches: int) -> list[int]:
    found: list[int] = []
    for _ in range(batches):
        made.forward()
        found += made.blobs["label"].data.astype(int).tolist()
    return found


def test_images_as_opencv_reads_them(tmp_path: Path) -> None:
    made = net(images(tmp_path, (7, 9), (7, 9), (7, 9)), "batch_size: 2")
    assert tuple(made.blobs["label"].shape) == (2,)
    for first in (0, 2, 1):
        made.forward()
        for place, number in enumerate((first, (first + 1) % 3)):
            np.testing.assert_array_equal(
                made.blobs["data"].data[place], picture(number).transpose(2, 0, 1)
            )
            assert made.blobs["label"].data[place] == 10 * number


def test_a_batch_of_one_takes_every_size(tmp_path: Path) -> None:
    made = net(images(tmp_path, (7, 9), (5, 4)))
    for size in ((7, 9), (5, 4), (7, 9)):
        made.forward()
        assert tuple(made.blobs["data"].shape) == (1, 3, *size)


def test_resize_and_grey(tmp_path: Path) -> None:
    made = net(images(tmp_path, (7, 9)), "new_height: 5 new_width: 6 is_color: false")
    made.forward()
    grey = cv2.imread(str(tmp_path / "img 0.png"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(made.blobs["data"].data[0, 0], cv2.resize(grey, (6, 5)))


MEANS = [
    ("", lambda x: x),
    ("mean_value: 100", lambda x: x - 100),
    (
        "mean_value: 1 mean_value: 2 mean_value: 3",
        lambda x: x - np.arange(1, 4, dtype="f4").reshape(3, 1, 1),
    ),
]


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize(("text", "minus"), MEANS)
def test_crop_mirror_mean_and_scale(tmp_path: Path, phase: int, text: str, minus) -> None:
    caffe.set_random_seed(2)
    source = images(tmp_path, (7, 9))
    made = net(source, "", f"crop_size: 4 mirror: true scale: 0.5 {text}", phase)
    image = minus(picture(0).transpose(2, 0, 1).astype(np.float32)) * np.float32(0.5)
    places = [(y, x) for y in range(4) for x in range(6)] if phase == caffe.TRAIN else [(1, 2)]
    crops = {
        image[:, y : y + 4, x : x + 4][:, :, ::step].tobytes(): (y, x, step)
        for y, x in places
        for step in (1, -1)
    }
    seen = set()
    for _ in range(600 if phase == caffe.TRAIN else 40):
        made.forward()
        seen.add(crops[made.blobs["data"].data[0].tobytes()])
    assert len(seen) == len(crops)


def test_mean_file_is_cropped_and_flipped_with_the_image(tmp_path: Path) -> None:
    mean = np.random.default_rng(9).normal(100, 20, (1, 3, 7, 9)).astype(np.float32)
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(caffe.io.array_to_blobproto(mean).SerializeToString())
    made = net(images(tmp_path, (7, 9)), "", f'crop_size: 4 mirror: true mean_file: "{path}"')
    image = picture(0).transpose(2, 0, 1) - mean[0]
    crops = [
        image[:, y : y + 4, x : x + 4][:, :, ::step]
        for y in range(4)
        for x in range(6)
        for step in (1, -1)
    ]
    for _ in range(20):
        made.forward()
        assert any(np.array_equal(made.blobs["data"].data[0], crop) for crop in crops)


def test_shuffle_is_another_order_every_epoch(tmp_path: Path) -> None:
    source = images(tmp_path, *[(3, 3)] * 8)
    caffe.set_random_seed(4)
    made = net(source, "batch_size: 4 shuffle: true")
    epochs = [labels(made, 2) for _ in range(3)]
    assert all(sorted(epoch) == list(range(0, 80, 10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    caffe.set_random_seed(4)
    assert labels(net(source, "batch_size: 4 shuffle: true"), 2) == epochs[0]


def test_rand_skip_starts_later(tmp_path: Path) -> None:
    source = images(tmp_path, *[(3, 3)] * 5)
    starts = {labels(net(source, "rand_skip: 3"), 1)[0] for _ in range(40)}
    assert starts == {0, 10, 20}


def test_a_state_goes_on_with_the_next_batch(tmp_path: Path) -> None:
    source = images(tmp_path, *[(6, 6)] * 7)
    text = "crop_size: 4 mirror: true"
    one, other = (net(source, "batch_size: 3 shuffle: true", text) for _ in range(2))
    labels(one, 4)
    other.layers[0].python_object.load_state(one.layers[0].python_object.save_state())
    for _ in range(6):
        one.forward()
        other.forward()
        for name in ("data", "label"):
            np.testing.assert_array_equal(one.blobs[name].data, other.blobs[name].data)


@pytest.mark.parametrize(
    ("text", "param", "transform", "message"),
    [
        ("", "", "", "list.txt is empty"),
        ("\n \n", "", "", "list.txt is empty"),
        ("img 0.png 0\nimg", "", "", "line 2: 'img' is not a path and a label"),
        ("img 0.png x", "", "", "line 1: 'img 0.png x' is not a path and a label"),
        ("img 0.png 1.5", "", "", "line 1"),
        ("nothing.png 1", "", "", "nothing.png: there is no such file"),
        ("list.txt 1", "", "", "list.txt: the image is damaged"),
        ("img 0.png 0", "new_height: 5", "", "both new_height and new_width"),
        ("img 0.png 0", "new_height: 5 new_width: 4000000000", "", "at most 8192, not 4000000000"),
        ("img 0.png 0", "batch_size: 0", "", "batch_size has to be 1"),
        ("img 0.png 0", "", "crop_size: 8", "crop_size 8 is larger than the image, 9x7"),
        ("img 0.png 0", "", "mean_value: 1 mean_value: 2", "2 values of mean_value for 3 channels"),
        ("img 0.png 0", "", 'mean_value: 1 mean_file: "x"', "both mean_file and mean_value"),
        ("img 0.png 0", "", 'mean_file: "/nothing"', "mean_file /nothing cannot be read"),
        ("img 0.png 0", "", 'mean_file: "/dev/null"', "mean_file /dev/null is empty"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, text: str, param: str, transform: str, message: str
) -> None:
    source = images(tmp_path, (7, 9))
    source.write_text(text)
    with pytest.raises(RuntimeError, match=f"ImageData 'i'.*{message}"):
        net(source, param, transform)


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    source = images(tmp_path)
    source.write_bytes(b"caf\xe9.png 1")
    with pytest.raises(p3d.Error, match=r"ImageData 'i'.*caf\udce9[.]png: there is no such file"):
        net(source)


def test_a_batch_of_different_sizes(tmp_path: Path) -> None:
    made = net(images(tmp_path, (7, 9), (5, 4)), "batch_size: 2")
    with pytest.raises(RuntimeError, match=r"ImageData 'i'.*img 1.png: gives \(3, 5, 4\)"):
        made.forward()
