"""Start weights from a 2-D ResNet: what is in them, and that the net then is the 2-D one."""

from __future__ import annotations

import numpy as np
import pytest

import p3d.caffe as caffe
from p3d import Error, models, random_weights, start_weights
from p3d.caffe.prototxt import parse_net
from p3d.caffe.weight_file import open_weights
from p3d.cli import main
from p3d.models import resnet

HEAD = 'layer { name: "fc1000" type: "InnerProduct" bottom: "pool5" top: "fc1000" %s }'
CLASSES = "inner_product_param { num_output: 10 }"


def write_resnet(path, depth, bias):
    net = caffe.Net(resnet.features(depth, (32, 32), bias) + HEAD % CLASSES, caffe.TEST)
    random_weights.fill(net)
    for name, blobs in net.params.items():
        if net.layer_dict[name].type == "BatchNorm":
            blobs[2].data[...] = 2.5
    if bias:
        net.params["conv1"][1].data[...] = np.linspace(-3, 3, 64)
    net.save(str(path))
    return path


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory):
    path = tmp_path_factory.mktemp("resnet") / "resnet50.caffemodel"
    yield write_resnet(path, 50, bias=True)
    path.unlink()


def first_kernels(path):
    with open_weights(path) as file:
        return file.read([name for name, _, _ in file.layers].index("conv1"), 0)


def deploy(folder, name, **options):
    path = folder / "deploy.prototxt"
    path.write_text(models.prototxt(name, crop=48, **options))
    return str(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("p3d63-kinetics", {}),
        ("p3d63-ucf101-flow", {}),
        ("p3d63-kinetics", {"kinds": "A", "length": 5}),
        ("p3d63-kinetics", {"kinds": "B", "scratch": True}),
        ("p3d63-kinetics", {"kinds": "CS", "length": 40, "any_length": True}),
    ],
)
def test_a_still_clip_gives_the_features_of_the_frame(name, options, resnet50, tmp_path):
    net, out = deploy(tmp_path, name, **options), tmp_path / "start.caffemodel"
    start_weights.write(resnet50, out, net)
    assert start_weights.difference(resnet50, out, net) < 1e-5
    out.unlink()


def test_a_deeper_net_too(tmp_path):
    source = write_resnet(tmp_path / "resnet.caffemodel", 101, bias=False)
    net, out = deploy(tmp_path, "p3d131-sports1m"), tmp_path / "start.caffemodel"
    start = start_weights.write(source, out, net)
    assert start.filled == ["fc_sports1m"]
    assert start_weights.difference(source, out, net) < 1e-5
    source.unlink()
    out.unlink()


@pytest.mark.parametrize(("depth", "flat"), [(63, 50), (131, 101), (199, 152)])
def test_the_nets_have_the_same_units(depth, flat):
    names = {layer.name for layer in parse_net(resnet.features(flat, (32, 32), False)).layer}
    wanted = {name for name in models.blobs(f"p3d{depth}-kinetics") if not name.endswith("_t")}
    assert wanted - names == {"fc_kinetics"}
    assert {name for name in names if "_branch" in name and name.startswith("res")} <= {
        *wanted,
        *(f"{name}_relu" for name in wanted),
    }


def test_other_starts_are_seen_to_differ(resnet50, tmp_path):
    net, out = deploy(tmp_path, "p3d63-kinetics"), tmp_path / "start.caffemodel"
    start_weights.write(resnet50, out, net, temporal="gaussian")
    assert start_weights.difference(resnet50, out, net) > 0.1
    out.unlink()


def test_the_values(resnet50, tmp_path):
    out = tmp_path / "start.caffemodel"
    start = start_weights.write(resnet50, out)
    assert (start.net, start.filled, start.left) == ("p3d63-kinetics", ["fc_kinetics"], ["fc1000"])
    assert len(start.taken) == 2 * 53
    assert len(start.temporal) == 2 * 13
    flat = caffe.Net(resnet.features(50, (32, 32), True), caffe.TEST, weights=str(resnet50)).params
    net = caffe.Net(models.prototxt("p3d63-kinetics"), caffe.TEST, weights=str(out)).params
    np.testing.assert_array_equal(net["conv1"][0].data[:, :, 0], flat["conv1"][0].data)
    np.testing.assert_array_equal(net["res5a_branch2b"][0].data, flat["res5a_branch2b"][0].data)
    mean, variance, _ = (blob.data for blob in flat["bn_conv1"])
    expected = [
        *(flat["scale_conv1"][0].data, flat["scale_conv1"][1].data),
        *(mean / 2.5 - flat["conv1"][1].data, variance / 2.5),
    ]
    for blob, values in zip(net["bn_conv1"], expected, strict=True):
        np.testing.assert_allclose(blob.data[0], values, rtol=1e-5, atol=1e-7)
    for unit, middle in (("2a", np.eye(64)), ("2b", np.zeros((64, 64))), ("2c", np.eye(64))):
        kernel = net[f"res{unit}_branch2b_t"][0].data[..., 0, 0]
        np.testing.assert_array_equal(kernel[:, :, 1], middle)
        assert not kernel[:, :, ::2].any()
    out.unlink()


def test_flow_gets_the_mean_of_the_colours(resnet50, tmp_path):
    out = tmp_path / "start.caffemodel"
    start = start_weights.write(resnet50, out, "p3d63-hmdb51-flow")
    assert start.channels == (3, 2)
    colours, flow = (first_kernels(path) for path in (resnet50, out))
    for channel in range(2):
        np.testing.assert_allclose(flow[:, channel, 0], colours.mean(axis=1), rtol=1e-5)
    out.unlink()


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("p3d131-kinetics", r"'res3b_branch2a', which the net lacks.*ResNet-50 for P3D-63"),
        ("p3d63-kinetic", r"did you mean 'p3d63-kinetics'"),
    ],
)
def test_other_nets_are_refused(net, message, resnet50, tmp_path):
    with pytest.raises(Error, match=message):
        start_weights.write(resnet50, tmp_path / "start.caffemodel", net)
    assert not (tmp_path / "start.caffemodel").exists()


@pytest.fixture(scope="module")
def p3d63(tmp_path_factory):
    path = tmp_path_factory.mktemp("p3d") / "p3d63.caffemodel"
    net = caffe.Net(models.prototxt("p3d63-kinetics", crop=48), caffe.TEST)
    random_weights.fill(net)
    net.save(str(path))
    yield path
    path.unlink()


@pytest.mark.parametrize(
    ("name", "options", "filled", "left"),
    [
        ("p3d63-kinetics-flow", {}, [], []),
        ("p3d63-ucf101-flow", {"length": 5}, ["fc_ucf101"], ["fc_kinetics"]),
        ("p3d63-kinetics-flow", {"classes": 7}, ["fc_kinetics"], ["fc_kinetics"]),
    ],
)
def test_frames_start_flow(name, options, filled, left, p3d63, tmp_path):
    net, out = deploy(tmp_path, name, **options), tmp_path / "start.caffemodel"
    start = start_weights.write(p3d63, out, net)
    assert (start.channels, start.temporal, start.from_p3d) == ((3, 2), [], True)
    assert (start.filled, start.left) == (filled, left)
    assert start_weights.difference(p3d63, out, net) < 1e-5
    colours, flow = (first_kernels(path) for path in (p3d63, out))
    for channel in range(2):
        np.testing.assert_allclose(flow[:, channel], colours.mean(axis=1), rtol=1e-5, atol=1e-9)
    caffe.Net(net, caffe.TEST).copy_from(str(out))
    out.unlink()


def test_flow_starts_frames(p3d63, tmp_path):
    flow, out = tmp_path / "flow.caffemodel", tmp_path / "start.caffemodel"
    start_weights.write(p3d63, flow, "p3d63-kinetics-flow")
    net = deploy(tmp_path, "p3d63-kinetics")
    assert start_weights.write(flow, out, net).channels == (2, 3)
    assert start_weights.difference(flow, out, net) < 1e-5
    flow.unlink()
    out.unlink()


@pytest.mark.parametrize(
    ("what", "cure"),
    [
        ("frames", "for flow from frames, or frames from flow, `p3d init --from"),
        ("flat", "`p3d init` makes start weights for a P3D net from a 2-D ResNet"),
    ],
)
def test_a_net_that_takes_other_weights_names_the_cure(what, cure, resnet50, p3d63):
    net = caffe.Net(models.prototxt("p3d63-ucf101-flow", crop=48), caffe.TEST)
    source = p3d63 if what == "frames" else resnet50
    with pytest.raises(Error, match=rf"'conv1'.*{cure}"):
        net.copy_from(str(source))


@pytest.mark.parametrize(
    ("net", "temporal", "message"),
    [
        ("p3d63-ucf101", "identity", r"of 3 channels.*`p3d train --weights` as it is.*of flow"),
        (None, "identity", r"of 3 channels.*`p3d train --weights` as it is"),
        ("p3d63-ucf101-flow", "gaussian", "temporal convolutions are taken as they are"),
        ("p3d131-ucf101-flow", "identity", r"'res3b_branch2a', which the net lacks.*same units"),
    ],
)
def test_a_p3d_net_starts_no_other(net, temporal, message, p3d63, tmp_path):
    with pytest.raises(Error, match=message):
        start_weights.write(p3d63, tmp_path / "start.caffemodel", net, temporal)
    assert not (tmp_path / "start.caffemodel").exists()


def test_a_net_that_reads_data_is_refused(resnet50, tmp_path):
    net, out = tmp_path / "train_val.prototxt", tmp_path / "start.caffemodel"
    net.write_text(models.train_val("p3d63-ucf101"))
    with pytest.raises(Error, match="name its deploy prototxt"):
        start_weights.write(resnet50, out, str(net))
    assert not out.exists()


def test_the_source_is_not_written_over(tmp_path):
    source, beside = tmp_path / "resnet.caffemodel", tmp_path / "link.caffemodel"
    source.write_bytes(b"weights")
    beside.symlink_to(source)
    with pytest.raises(Error, match="to another file"):
        start_weights.write(source, beside)
    assert source.read_bytes() == b"weights"


FOREIGN = 'name: "x" layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }'
LAYER = """layer { name: "%s" type: "Convolution" bottom: "data" top: "%s" convolution_param {
num_output: 4 kernel_size: %d bias_term: false } }"""


def test_weights_that_are_no_resnet_are_refused(tmp_path):
    dims = "dim: 1 dim: 3 dim: 9 dim: 9"
    source, out = tmp_path / "other.caffemodel", tmp_path / "start.caffemodel"
    caffe.Net(FOREIGN % dims + LAYER % ("conv1", "conv1", 3), caffe.TEST).save(str(source))
    with pytest.raises(Error, match=r"fits no net.*scale_conv1"):
        start_weights.write(source, out)
    with pytest.raises(Error, match=r"'conv1' has a blob of shape \(4, 3, 3, 3\)"):
        start_weights.write(source, out, "p3d63-kinetics")
    caffe.Net(FOREIGN % dims + LAYER % ("other", "other", 3), caffe.TEST).save(str(source))
    with pytest.raises(Error, match="no layer 'conv1'"):
        start_weights.write(source, out, "p3d63-kinetics")
    assert not out.exists()


def test_the_command(resnet50, tmp_path, capsys):
    out = str(tmp_path / "start.caffemodel")
    net = deploy(tmp_path, "p3d63-ucf101-flow")
    assert main(["init", "--from", str(resnet50), "--net", net, "-o", out]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{resnet50} -> {out}, for {net}"
    assert lines[1].split()[:3] == ["taken", "106", "layers:"]
    assert lines[2] == "conv1: the mean of 3 channels for each of 2"
    assert lines[3].split()[:3] == ["identity", "26", "layers:"]
    assert lines[4].endswith("1 layer: fc_ucf101")
    assert lines[5].endswith("1 layer: fc1000")
    assert lines[6].startswith(
        "pool5 of a clip of equal frames is that of the frame in the 2-D net"
    )
    assert main(["init", "--from", str(resnet50), "-o", out, "--temporal", "gaussian"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split()[:5] == ["by", "the", "net's", "fillers", "27"]
    assert "pool5" not in lines[-1]
    assert main(["init", "--from", "missing.caffemodel", "-o", out]) == 1
    assert "missing.caffemodel" in capsys.readouterr().err


def test_the_command_tells_what_flow_takes_from_frames(p3d63, tmp_path, capsys):
    out = str(tmp_path / "start.caffemodel")
    assert main(["init", "--from", str(p3d63), "--net", "p3d63-ucf101-flow", "-o", out]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["taken", "132", "layers:"]
    assert lines[2] == "conv1: the mean of 3 channels for each of 2"
    assert lines[3].endswith("1 layer: fc_ucf101")
    assert lines[4].endswith("1 layer: fc_kinetics")
    assert lines[5].startswith("pool5 of a clip of equal channels is that of the net it comes from")
