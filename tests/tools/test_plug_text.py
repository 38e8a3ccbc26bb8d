"""tools/plugging/text.py and merge3.py: edits that touch nothing else."""

from __future__ import annotations

import pytest
from plugging.merge3 import merge3
from plugging.text import edit, lines, without_comments


def add(text):
    assert "\r" not in text
    return text.replace("b\n", "b\nnew\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\nb\nc\n", b"a\nb\nnew\nc\n"),
        (b"a\r\nb\r\nc\r\n", b"a\r\nb\r\nnew\r\nc\r\n"),
        (b"a\r\nb\nc\r\nd", b"a\r\nb\nnew\r\nc\r\nd"),  # most end in CRLF
        (b"a\nb\nc\r\nd\n", b"a\nb\nnew\nc\r\nd\n"),
        (b"\xef\xbb\xbf\xe4b\n\xff", b"\xef\xbb\xbf\xe4b\nnew\n\xff"),  # BOM, no UTF-8
        (b"a\rb\n\x0c\x85z", b"a\rb\nnew\n\x0c\x85z"),
    ],
)
def test_line_ends_and_encoding_stay(before, after):
    if b"a\rb" in before:  # an old Mac's line end is no line end of ours
        assert edit(before, lambda text: text.replace("b\n", "b\nnew\n")) == after
    else:
        assert edit(before, add) == after


@pytest.mark.parametrize("data", [b"", b"\r\n", b"a\r\nb\nc", b"\xff\xfe\r\n\0"])
def test_what_is_not_changed_stays(data):
    assert edit(data, lambda text: text) == data


def test_lines():
    assert lines("a\n\x0bb\x85\n\nc") == ["a\n", "\x0bb\x85\n", "\n", "c"]
    assert lines("") == []


def test_comments_become_blanks_and_nothing_moves():
    text = 'a // b "c\n"// d" /* e\n f */ g \'"\' // h\n"\\"//" i'
    code = without_comments(text)
    assert code == 'a        \n"// d"     \n      g \'"\'     \n"\\"//" i'
    assert len(code) == len(text)


BASE = b"one\ntwo\nthree\nfour\nfive\nsix\n"


@pytest.mark.parametrize(
    ("one", "other", "merged"),
    [
        (BASE, BASE, BASE),
        (BASE.replace(b"two\n", b""), BASE, BASE.replace(b"two\n", b"")),
        (
            BASE.replace(b"two", b"2"),
            BASE + b"seven",
            BASE.replace(b"two", b"2") + b"seven",
        ),
        (BASE.replace(b"two", b"2"), BASE.replace(b"two", b"2"), BASE.replace(b"two", b"2")),
        (BASE.replace(b"two", b"2"), BASE.replace(b"two", b"zwei"), None),
        (BASE.replace(b"two", b"2"), BASE.replace(b"three", b"3"), None),  # neighbours
        (BASE.replace(b"two\n", b""), BASE.replace(b"two", b"2"), None),
        (b"", BASE + b"seven\n", None),
        (
            BASE.replace(b"two\n", b"two\r\n"),
            BASE + b"\xff",
            BASE.replace(b"two\n", b"two\r\n") + b"\xff",
        ),
    ],
)
def test_merge(one, other, merged):
    assert merge3(BASE, one, other) == merged
    assert merge3(BASE, other, one) == merged
