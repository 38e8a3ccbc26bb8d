"""p3d.models.text: messages as protobuf text."""

from __future__ import annotations

import pytest

from p3d.models.text import WIDTH, Word, text


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"a": 1, "b": 0.5, "c": True, "d": "x"}, 'm { a: 1 b: 0.5 c: true d: "x" }'),
        ({"pool": Word("MAX"), "std": 0.001, "one": 1.0}, "m { pool: MAX std: 0.001 one: 1 }"),
        ({"pad": [0, 1, 1]}, "m { pad: 0 pad: 1 pad: 1 }"),
        ({"p": [{"lr": 1}, {"lr": 0}]}, "m { p { lr: 1 } p { lr: 0 } }"),
        ({"name": 'a "b" \\ \n ü'}, 'm { name: "a \\"b\\" \\\\ \\n ü" }'),
    ],
)
def test_a_short_message_is_one_line(message, expected):
    assert text("m", message) == expected
    assert text("m", message, depth=2) == "    " + expected


def test_a_long_message_is_broken():
    message = {
        "name": "n" * 40,
        "type": "t" * 40,
        "param": [{"lr_mult": 1, "decay_mult": 0}] * 4,
        "bn_param": {"slope_filler": {"type": "constant"}, "frozen": True},
    }
    assert text("layer", message).split("\n") == [
        "layer {",
        f'  name: "{"n" * 40}" type: "{"t" * 40}"',
        "  param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 1 decay_mult: 0 }",
        "  param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 1 decay_mult: 0 }",
        '  bn_param { slope_filler { type: "constant" } frozen: true }',
        "}",
    ]


def test_lines_keep_their_width_unless_one_word_exceeds_it():
    lines = text("m", {f"field{i}": i for i in range(99)} | {"x": "y" * 200}).split("\n")
    assert max(map(len, lines[:-2])) <= WIDTH
    assert lines[-2] == f'  x: "{"y" * 200}"'
