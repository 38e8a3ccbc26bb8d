"""The 2-D ResNets that P3D nets are made from, with the names of their Caffe release (He et al.).

A convolution is followed by BatchNorm and Scale, both in place: res2a_branch2a, bn2a_branch2a,
scale2a_branch2a. The stride of a stage is in the first 1x1 convolution, as in P3D.
"""

from __future__ import annotations

from p3d.models.net import Net, gaussian
from p3d.models.p3d import unit_tags

#: Units of res2, res3, res4, res5 by the number of layers.
UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def features(depth: int, size: tuple[int, int], bias: bool) -> str:
    """The prototxt from "data", one image of BGR, to "pool5".

    `bias`: whether conv1 has one, as the released ResNet-50 does.
    """
    net = Net(f"ResNet-{depth}", gaussian(0.01))
    blob = net.conv("conv1", net.input("data", (1, 3, *size)), 64, 7, 2, 3, bias=bias)
    blob = net.relu("conv1_relu", net.batch_norm_scale("_conv1", blob))
    blob = net.max_pool("pool1", blob, size=3)
    for stage, count in zip((2, 3, 4, 5), UNITS[depth], strict=True):
        for tag in unit_tags(stage, count, numbered=depth > 50):
            blob = _unit(net, tag, blob, width=64 << (stage - 2), halves=stage > 2)
    net.global_average("pool5", blob, axes=4)
    return net.text()


def _unit(net: Net, tag: str, blob: str, width: int, halves: bool) -> str:
    first = tag.endswith("a")
    stride = 2 if first and halves else 1
    shortcut = _conv_bn(net, tag, "branch1", blob, 4 * width, 1, stride) if first else blob
    down = _conv_bn(net, tag, "branch2a", blob, width, 1, stride)
    middle = _conv_bn(net, tag, "branch2b", _relu(net, down), width, 3, 1)
    up = _conv_bn(net, tag, "branch2c", _relu(net, middle), 4 * width, 1, 1)
    return _relu(net, net.add(f"res{tag}", (shortcut, up)))


def _conv_bn(
    net: Net, tag: str, branch: str, bottom: str, outputs: int, size: int, stride: int
) -> str:
    blob = net.conv(f"res{tag}_{branch}", bottom, outputs, size, stride, size // 2)
    return net.batch_norm_scale(f"{tag}_{branch}", blob)


def _relu(net: Net, blob: str) -> str:
    return net.relu(f"{blob}_relu", blob)
