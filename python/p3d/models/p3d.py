"""P3D ResNets: bottleneck nets whose middle convolution is a pair, 1x3x3 (S) and 3x1x1 (T).

    A   relu(bn T(relu(bn S(x))))                     one after the other
    B   relu(relu(bn S(x)) + bn T(x))                 side by side
    C   relu(0.5 s + 0.5 bn T(s)), s = relu(bn S(x))  one after the other, with a way around T
    S   relu(bn S(x))                                 frame by frame, to compare with

The kinds take turns over all units of res2, res3 and res4. Halving poolings along the length stand
before res3, res4 and res5; a clip of 16 frames is one frame at res5, whose units are plain 2-D.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p3d.error import Error
from p3d.models.feed import Feed
from p3d.models.net import Message, Net, gaussian, msra, xavier

#: Units of res2, res3, res4, res5 by the number of weighted layers in the published nets' style.
UNITS = {63: (3, 4, 6, 3), 131: (3, 4, 23, 3), 199: (3, 8, 36, 3)}

#: The longest clip that is a single frame at res5: four halvings, rounded up.
MAX_LENGTH = 16

_EXPANSION = 4


@dataclass(frozen=True)
class Data:
    """What a net is trained on: its classes, the name of its last layer, its dropout.

    `dropout_by` says who chose the dropout: "published", or ours and why.
    """

    classes: int
    head: str
    dropout: float
    channels: int
    flow: bool = False
    dropout_by: str = "published"


@dataclass(frozen=True)
class Options:
    """A net of this family, spelled out. See `p3d.models.prototxt` for the meaning."""

    units: tuple[int, int, int, int]
    numbered: bool
    classes: int
    head: str
    crop: tuple[int, int]
    length: int
    batch: int
    kinds: str
    any_length: bool
    width: int = 64
    scratch: bool = False


def build(name: str, data: Data, options: Options) -> Net:
    """The deploy net: from the input "data" to the probabilities "prob"."""
    net = Net(name, _filler(data, options), frozen=not options.scratch)
    shape = (options.batch, data.channels, options.length, *options.crop)
    blob = trunk(net, net.input("data", shape), data, options)
    net.comment("classifier")
    blob = net.dropout("pool5_drop", blob, data.dropout)
    net.softmax("prob", _classifier(net, blob, options))
    return net


def build_training(name: str, data: Data, options: Options, feed: Feed) -> Net:
    """The train_val net: from VideoData to "loss" and, in tests, "accuracy" and its top 5."""
    net = Net(name, _filler(data, options), frozen=not options.scratch)
    clip = (data.channels, options.length, *options.crop)
    blob = feed.write(net, clip, data.flow, options.classes)
    blob = trunk(net, blob, data, options)
    net.comment(f"classifier; dropout {data.dropout:g}: {data.dropout_by}")
    blob = net.dropout("pool5_drop", blob, data.dropout)
    scores = _classifier(net, blob, options)
    net.softmax_loss("loss", scores, "label")
    net.accuracy("accuracy", scores, "label", best=1)
    if options.classes > 5:
        net.accuracy("accuracy_top5", scores, "label", best=5)
    return net


def _classifier(net: Net, blob: str, options: Options) -> str:
    """The layer that no start weights have learns ten times as fast as those that have."""
    return net.classifier(options.head, blob, options.classes, lr=1 if options.scratch else 10)


def _filler(data: Data, options: Options) -> Message:
    if options.scratch:
        return msra()
    return xavier() if data.flow else gaussian(0.001)


def trunk(net: Net, blob: str, data: Data, options: Options) -> str:
    """From the clip to the feature "pool5", 32 times `options.width` channels."""
    lr = 5 if data.flow else 1
    net.comment(f"conv1: N C L H W -> N {options.width} L H/2 W/2")
    blob = net.conv("conv1", blob, options.width, (1, 7, 7), (1, 2, 2), (0, 3, 3), lr)
    blob = net.relu("conv1_relu", net.bn("bn_conv1", blob, frozen=False, lr=lr))
    blob = net.max_pool3d("pool1", blob, length=2, size=3)
    kinds = _cycle(options.kinds)
    for stage, count in zip((2, 3, 4), options.units, strict=False):
        if stage > 2:
            blob = net.max_pool3d(f"{stage}a_pool", blob, length=2, size=1)
        for tag in unit_tags(stage, count, options.numbered):
            width, halves = options.width << (stage - 2), stage > 2
            blob = _unit(net, tag, next(kinds), blob, width, halves)
    blob = net.max_pool3d("res5a_pool", blob, length=2, size=1)
    if not options.any_length:
        blob = net.fold_length("res5a_reshape", blob)
    for tag in unit_tags(5, options.units[3], numbered=False):
        blob = _unit(net, tag, "S" if options.any_length else "2D", blob, 8 * options.width, True)
    return net.global_average("pool5", blob, axes=5 if options.any_length else 4)


def unit_tags(stage: int, count: int, numbered: bool) -> list[str]:
    """3a, 3b, 3c... or, `numbered`, 3a, 3b1, 3b2...: the two habits of the 2-D ResNets."""
    if numbered and stage in (3, 4):
        return [f"{stage}a"] + [f"{stage}b{i}" for i in range(1, count)]
    return [f"{stage}{chr(ord('a') + i)}" for i in range(count)]


def _cycle(kinds: str) -> Iterator[str]:
    while True:
        yield from kinds


def _unit(net: Net, tag: str, kind: str, blob: str, width: int, halves: bool) -> str:
    """A residual unit: 1x1x1 down, the middle, 1x1x1 up, plus the shortcut, ReLU.

    `halves`: the first unit of the stage has h and w of half the size.
    """
    first = tag.endswith("a")
    stride = 2 if first and halves else 1
    net.comment(f"res{tag}: {_MEANING[kind]}")
    shortcut = blob
    if first:
        shortcut = _conv_bn(net, tag, "branch1", blob, width * _EXPANSION, 1, stride, kind)
    down = _conv_bn(net, tag, "branch2a", blob, width, 1, stride, kind)
    down = net.relu(f"res{tag}_branch2a_relu", down)
    middle = _conv_bn(net, tag, "branch2b", down, width, 3, 1, kind)
    middle = net.relu(f"res{tag}_branch2b_relu", middle)
    if kind in _COEFF:
        middle = _temporal(net, tag, kind, down, middle, width)
    up = _conv_bn(net, tag, "branch2c", middle, width * _EXPANSION, 1, 1, kind)
    return net.relu(f"res{tag}_relu", net.add(f"res{tag}", (shortcut, up)))


_COEFF = {"A": None, "B": 1, "C": 0.5}
_MEANING = {
    "A": "unit A, T after S",
    "B": "unit B, T beside S",
    "C": "unit C, T after S and a way around it",
    "2D": "a 2-D unit",
    "S": "a 2-D unit, frame by frame",
}


def _temporal(net: Net, tag: str, kind: str, down: str, middle: str, width: int) -> str:
    name = f"res{tag}_branch2b_t"
    source = down if kind == "B" else middle
    time = net.bn(
        f"bn{tag}_branch2b_t",
        net.conv(name, source, width, (3, 1, 1), (1, 1, 1), (1, 0, 0)),
    )
    if kind == "A":
        return net.relu(f"{name}_relu", time)
    total = net.add(f"res{tag}_branch2b_st", (middle, time), _COEFF[kind])
    return net.relu(f"{total}_relu", total)


def _conv_bn(
    net: Net, tag: str, branch: str, bottom: str, outputs: int, size: int, stride: int, kind: str
) -> str:
    """size x size on a frame, then BN."""
    pad = size // 2
    name = f"res{tag}_{branch}"
    if kind == "2D":
        blob = net.conv(name, bottom, outputs, size, stride, pad)
    else:
        blob = net.conv(name, bottom, outputs, (1, size, size), (1, stride, stride), (0, pad, pad))
    return net.bn(f"bn{tag}_{branch}", blob)


def check(options: Options) -> None:
    """Raises p3d.Error for a net that cannot be."""
    sizes = {
        "classes": options.classes,
        "length": options.length,
        "batch": options.batch,
        "width": options.width,
    }
    for what, size in sizes.items():
        if not 1 <= size <= _MOST:
            raise Error(f"{what} is {size}: expected a number from 1 to {_MOST}")
    if len(options.units) != 4 or not all(1 <= count <= 99 for count in options.units):
        raise Error(f"units is {options.units}: expected four numbers from 1 to 99, as 3, 4, 6, 3")
    if not all(3 <= side <= _MOST for side in options.crop):
        raise Error(f"crop is {options.crop}: pool1 needs at least 3 x 3 pixels")
    if not options.kinds or set(options.kinds) - set("ABCS"):
        raise Error(f"kinds is {options.kinds!r}: expected a word of A, B, C and S, as in 'ABC'")
    if options.length > MAX_LENGTH and not options.any_length:
        raise Error(
            f"a clip of {options.length} frames is longer than one frame at res5, where this net "
            f"is 2-D: use at most {MAX_LENGTH} frames, or ask for the any-length variant"
        )


_MOST = 1 << 20
