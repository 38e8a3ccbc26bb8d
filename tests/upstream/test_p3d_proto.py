"""The fragment for a Caffe tree says what the package's own caffe.proto says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAGMENT = (ROOT / "layers/caffe/proto/p3d.proto").read_text()
WHOLE = (ROOT / "python/p3d/caffe/proto/caffe.proto").read_text()


def message(text: str, name: str) -> list[str]:
    """The lines of a message without comments, from the brace that opens it."""
    found = re.search(rf"^message {name} \{{\n(.*?)^\}}", text, re.MULTILINE | re.DOTALL)
    assert found, f"message {name} is missing"
    lines = (re.sub("//.*", "", line).strip() for line in found[1].splitlines())
    return [line for line in lines if line]


@pytest.mark.parametrize("name", ["BNParameter", "Pooling3DParameter"])
def test_messages_agree(name: str) -> None:
    assert message(FRAGMENT, name) == message(WHOLE, name)


def test_layer_parameter_fields_agree() -> None:
    fields = message(FRAGMENT, "LayerParameter")
    assert len(fields) == 2
    missing = set(fields) - set(message(WHOLE, "LayerParameter"))
    assert not missing, "the package's caffe.proto lacks these fields"
