"""caffe_pb2: the messages of Caffe, ours added, in a pool of their own."""

from __future__ import annotations

import copy
import importlib.util
import pickle
from importlib import resources
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from p3d.caffe.proto import caffe_pb2

ROOT = Path(__file__).resolve().parents[2]

# Facts of upstream's caffe.proto that nets and weights on disk depend on.
FIELD_NUMBERS = {
    "NetParameter": {"name": 1, "layers": 2, "input": 3, "input_dim": 4, "layer": 100},
    "LayerParameter": {
        "name": 1, "type": 2, "bottom": 3, "top": 4, "loss_weight": 5, "param": 6, "blobs": 7,
        "include": 8, "exclude": 9, "phase": 10, "propagate_down": 11, "transform_param": 100,
        "convolution_param": 106, "pooling_param": 121, "batch_norm_param": 139,
        "scale_param": 142, "input_param": 143, "swish_param": 147, "clip_param": 148,
        "bn_param": 8210, "pooling3d_param": 8211, "video_data_param": 8212,
    },
    "BlobProto": {"num": 1, "channels": 2, "height": 3, "width": 4, "data": 5, "diff": 6,
                  "shape": 7, "double_data": 8, "double_diff": 9},
    "V1LayerParameter": {"layer": 1, "bottom": 2, "top": 3, "name": 4, "type": 5, "blobs": 6},
    "V0LayerParameter": {"blobs": 50, "hdf5_output_param": 1001},
    "SolverParameter": {"net": 24, "type": 40, "weights": 42},
    "SolverState": {"iter": 1, "learned_net": 2, "history": 3, "current_step": 4},
    "Datum": {"channels": 1, "data": 4, "label": 5, "float_data": 6, "encoded": 7},
    "BNParameter": {"slope_filler": 1, "bias_filler": 2, "momentum": 3, "eps": 4, "frozen": 5,
                    "engine": 6},
    "Pooling3DParameter": {
        "pool": 1, "pad": 2, "kernel_size": 3, "stride": 4, "pad_h": 5, "pad_w": 6, "pad_l": 7,
        "kernel_h": 8, "kernel_w": 9, "kernel_l": 10, "stride_h": 11, "stride_w": 12,
        "stride_l": 13, "engine": 14, "global_pooling": 15,
    },
}  # fmt: skip

DEFAULTS = [
    ("BNParameter", "momentum", 0.9),
    ("BNParameter", "eps", 1e-5),
    ("BNParameter", "frozen", False),
    ("BatchNormParameter", "moving_average_fraction", 0.999),
    ("Pooling3DParameter", "stride_l", 1),
    ("Pooling3DParameter", "round_mode", caffe_pb2.Pooling3DParameter.CEIL),
    ("PoolingParameter", "round_mode", caffe_pb2.PoolingParameter.CEIL),
    ("ConvolutionParameter", "pad_mode", caffe_pb2.ConvolutionParameter.ZERO),
    ("ConvolutionParameter", "group", 1),
    ("DropoutParameter", "dropout_ratio", 0.5),
    ("EltwiseParameter", "operation", caffe_pb2.EltwiseParameter.SUM),
    ("ExpParameter", "base", -1.0),
    ("FillerParameter", "type", "constant"),
    ("LRNParameter", "local_size", 5),
    ("MVNParameter", "eps", 1e-9),
    ("NetState", "phase", caffe_pb2.TEST),
    ("ParamSpec", "lr_mult", 1.0),
    ("SolverParameter", "momentum2", 0.999),
    ("SolverParameter", "regularization_type", "L2"),
    ("SolverParameter", "solver_mode", caffe_pb2.SolverParameter.GPU),
    ("WindowDataParameter", "crop_mode", "warp"),
]


@pytest.mark.parametrize("message", FIELD_NUMBERS)
def test_field_numbers(message: str) -> None:
    fields = getattr(caffe_pb2, message).DESCRIPTOR.fields_by_name
    expected = FIELD_NUMBERS[message]
    assert {name: fields[name].number for name in expected} == expected


@pytest.mark.parametrize(("message", "field", "value"), DEFAULTS)
def test_defaults(message: str, field: str, value: object) -> None:
    found = getattr(getattr(caffe_pb2, message)(), field)
    assert found == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value)


def test_no_message_contains_itself() -> None:
    """Reading text recurses once per level of messages, so the schema must bound it."""

    def depth(descriptor, above: tuple[str, ...]) -> int:
        assert descriptor.name not in above, f"{descriptor.name} inside {above}"
        inner = [field.message_type for field in descriptor.fields if field.message_type]
        return 1 + max((depth(kind, (*above, descriptor.name)) for kind in inner), default=0)

    assert depth(caffe_pb2.SolverParameter.DESCRIPTOR, ()) < 10


def test_nothing_is_required() -> None:
    """A required field in a foreign message would make whole weight files unreadable."""
    for message in caffe_pb2.DESCRIPTOR.message_types_by_name:
        assert getattr(caffe_pb2, message)().IsInitialized(), message


def test_enums_as_users_write_them() -> None:
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert caffe_pb2.Phase.Value("TEST") == 1
    assert caffe_pb2.Phase.Name(0) == "TRAIN"
    assert caffe_pb2.PoolingParameter.MAX == 0
    assert caffe_pb2.PoolingParameter.PoolMethod.Value("AVE") == 1
    assert caffe_pb2.Pooling3DParameter.PoolMethod.keys() == ["MAX", "AVE", "STOCHASTIC"]
    assert caffe_pb2.V1LayerParameter.LayerType.Name(4) == "CONVOLUTION"
    assert caffe_pb2.V1LayerParameter.CONVOLUTION == 4
    assert caffe_pb2.ReductionParameter.ASUM == 2
    assert caffe_pb2.SolverParameter.SnapshotFormat.Value("BINARYPROTO") == 1


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchParameter"):
        caffe_pb2.NoSuchParameter  # noqa: B018


def test_messages_travel() -> None:
    net = caffe_pb2.NetParameter(name="n")
    net.layer.add(name="pool").pooling3d_param.pool = caffe_pb2.Pooling3DParameter.AVE
    assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net
    assert pickle.loads(pickle.dumps(net)) == net
    assert copy.deepcopy(net) == net


def test_lives_beside_another_caffe_pb2() -> None:
    """A generated caffe_pb2 of a real Caffe puts other messages of the same names into
    the default pool."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe")
    layer = file.message_type.add(name="LayerParameter")
    layer.field.add(name="name", number=1, label=1, type=9)
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    other = descriptor_pool.Default().FindMessageTypeByName("caffe.LayerParameter")
    assert "bn_param" not in other.fields_by_name
    assert "bn_param" in caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name


def test_compiled_descriptor_is_current() -> None:
    pytest.importorskip("grpc_tools", reason="needs the protobuf compiler of grpcio-tools")
    spec = importlib.util.spec_from_file_location(
        "compile_proto", ROOT / "tools" / "compile_proto.py"
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    fresh = descriptor_pb2.FileDescriptorSet.FromString(tool.compile_proto(tool.PROTO))
    shipped = resources.files("p3d.caffe.proto").joinpath("caffe.desc").read_bytes()
    assert fresh == descriptor_pb2.FileDescriptorSet.FromString(shipped), (
        "caffe.proto has changed: run tools/compile_proto.py"
    )
