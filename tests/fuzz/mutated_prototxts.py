"""Damages small real prototxts and does with each what a person would: load and run it.

    python tests/fuzz/mutated_prototxts.py FIRST COUNT

runs cases FIRST, FIRST + 1, ...; a case depends on its number alone. Each must either work or
be refused with a p3d.Error. Anything else ends the program with the case's number and text.
"""

from __future__ import annotations

import os
import random
import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import p3d
import p3d.caffe as caffe

GOLDEN = Path(__file__).parents[1] / "golden"
MEMORY = 4 << 30  # of address space; a net that wants more must be refused, not tried
RUN_UP_TO = 3_000_000  # values in all blobs

NUMBERS = [
    "0", "-1", "1", "2", "3", "5", "7", "16", "255", "65536", "2147483647", "-2147483648",
    "4294967295", "4294967296", "9223372036854775807", "-9223372036854775808", "0.5", "-0.5",
    "1e-45", "1e30", "-1e30", "nan", "inf", "true",
]  # fmt: skip
TOKEN = re.compile(r'"[^"\n]*"|[\w.+-]+|\s+|.')
OLD_FORMATS = [
    'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
    'layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1\n'
    "  convolution_param { num_output: 2 kernel_size: 3 } }\n"
    'layers { name: "r" type: RELU bottom: "c" top: "c" }\n',
    'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
    'layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "data" top: "pad" }\n'
    'layers { layer { name: "c" type: "conv" num_output: 2 kernelsize: 3 }\n'
    '  bottom: "pad" top: "c" }\n',
]


def seeds() -> list[str]:
    """The golden layers' nets, the tiny P3D net and nets of old formats."""
    texts = [(GOLDEN / "tiny/tiny.prototxt").read_text(), *OLD_FORMATS]
    for path in sorted(GOLDEN.glob("layers/*/*.npz")):
        with np.load(path) as file:
            texts.append(str(file["prototxt"]))
    return texts


def mutate(text: str, rng: random.Random) -> str:
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        text = rng.choice(MUTATIONS)(text, rng)
    return text


def _replace(text: str, rng: random.Random, pattern: str, value: Callable[[list[str]], str]) -> str:
    """Replaces one of the tokens that match by a value chosen with all of them at hand."""
    tokens = TOKEN.findall(text)
    places = [i for i, token in enumerate(tokens) if re.fullmatch(pattern, token)]
    if places:
        tokens[rng.choice(places)] = value([tokens[i] for i in places])
    return "".join(tokens)


def _number(text: str, rng: random.Random) -> str:
    return _replace(text, rng, r"-?\d[\d.e]*", lambda _: rng.choice(NUMBERS))


def _name(text: str, rng: random.Random) -> str:
    return _replace(text, rng, '".*"', rng.choice)


def _kind(text: str, rng: random.Random) -> str:
    return _replace(text, rng, '".*"', lambda _: f'"{rng.choice(caffe.layer_type_list())}"')


def _word(text: str, rng: random.Random) -> str:
    return _replace(text, rng, r"[a-zA-Z_]\w*", rng.choice)


def _delete(text: str, rng: random.Random) -> str:
    tokens = TOKEN.findall(text)
    at = rng.randrange(len(tokens) + 1)
    return "".join(tokens[:at] + tokens[at + rng.randrange(1, 6) :])


def _repeat(text: str, rng: random.Random) -> str:
    tokens = TOKEN.findall(text)
    at = rng.randrange(len(tokens) + 1)
    return "".join(tokens[:at] + tokens[at : at + rng.randrange(1, 30)] + tokens[at:])


def _line(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return "\n".join(lines)


def _byte(text: str, rng: random.Random) -> str:
    data = bytearray(text.encode("utf-8", "surrogateescape"))
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data.decode("utf-8", "surrogateescape")


def _cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) + 1)] if rng.random() < 0.2 else text


MUTATIONS = [_number] * 5 + [_name] * 3 + [_kind] * 3 + [_line] * 2
MUTATIONS += [_word, _delete, _repeat, _byte, _cut]


def run(text: str, rng: random.Random) -> bool:
    """True if the net loads (and runs, where that is little work), False if it is refused."""
    try:
        net = caffe.Net(text + "\n", rng.choice([caffe.TRAIN, caffe.TEST]))
        if sum(blob.count for blob in net.blobs.values()) <= RUN_UP_TO:
            net.forward()
    except p3d.Error as error:
        message = str(error)
        assert 10 < len(message) < 2000, message
        return False
    except ImportError:  # of the module that a Python layer names
        return False
    return True


def main(first: int, count: int) -> None:
    # AddressSanitizer reserves terabytes of addresses, and has a limit of its own.
    if sys.platform == "linux" and "ASAN_OPTIONS" not in os.environ:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    texts = seeds()
    good = 0
    for case in range(first, first + count):
        rng = random.Random(case)
        text = mutate(rng.choice(texts), rng)
        print(f"case {case}", file=sys.stderr)  # the last line names a case that kills us
        try:
            good += run(text, rng)
        except BaseException:
            print(f"failed in case {case}:\n{text!r}", file=sys.stderr)
            raise
    print(f"{good} worked, {count - good} were refused")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
