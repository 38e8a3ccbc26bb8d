"""The shipped class names, and reading a person's own."""

from __future__ import annotations

import hashlib

import pytest

from p3d import Error, labels

# sha256 of the names joined by newlines; equal, name by name, to the lists inside the wheels of
# torchvision 0.29.2 and (with its spelling of brackets) gluoncv 0.10.5.
KINETICS_SHA256 = "e9f2806fe9109b851a80a74841244f6f8c9d10917fa0229cd82bab67f2f8e28f"


def test_kinetics():
    names = labels.load("kinetics400")
    assert len(names) == len(set(names)) == 400
    assert names == sorted(names)
    assert (names[0], names[158], names[-1]) == ("abseiling", "hugging", "zumba")
    text = "".join(f"{name}\n" for name in names)
    assert hashlib.sha256(text.encode()).hexdigest() == KINETICS_SHA256


def test_the_lists_that_ship():
    assert labels.names() == ["kinetics400"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"walk\nrun\n", ["walk", "run"]),
        (b"\xef\xbb\xbfwalk\r\nrun fast \r\n\r\n", ["walk", "run fast"]),
        (b"1 Apply\n2 Archery\n", ["Apply", "Archery"]),
        (b"0 Apply\n1 Archery", ["Apply", "Archery"]),
        (b"1 Apply\n1 Archery", ["1 Apply", "1 Archery"]),
        (b"3x3 (basketball)\n", ["3x3 (basketball)"]),
        ("yağlı güreş\n".encode(), ["yağlı güreş"]),
    ],
)
def test_a_file_of_ones_own(tmp_path, content, expected):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    assert labels.load(path) == expected
    assert labels.load(str(path)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"\n \n", "empty"), (b"\xff\xfe\x00", "UTF-8"), (None, "no such file")],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Error, match=f"names.txt: .*{message}"):
        labels.load(path)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "names.txt"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Error, match="too long for class names"):
        labels.load(path)
