"""tools/plugging/proto_merge.py: what a fork has is kept or refused; protoc reads the result."""

from __future__ import annotations

from pathlib import Path

import pytest
from caffe_trees import BN_MESSAGE, FORKS, POOLING_MESSAGE, PROTO, write_tree
from google.protobuf import descriptor_pb2
from plugging.proto_merge import merge
from plugging.proto_text import parse
from plugging.refusal import Refusal

ROOT = Path(__file__).parents[2]
FRAGMENT = (ROOT / "layers/caffe/proto/p3d.proto").read_text()


def proto(fields="", messages=""):
    return PROTO.replace("@FIELDS@", fields).replace("@MESSAGES@", messages)


def merged(text):
    result = merge(text, FRAGMENT, "caffe.proto")
    again = merge(result.text, FRAGMENT, "caffe.proto")
    assert again.text == result.text, "merging again changed it"
    return result


def compiled(text, folder):
    """The file's messages as protoc sees them."""
    protoc = pytest.importorskip("grpc_tools.protoc")
    (folder / "caffe.proto").write_text(text)
    out = folder / "caffe.desc"
    args = ["protoc", f"-I{folder}", f"--descriptor_set_out={out}", str(folder / "caffe.proto")]
    assert protoc.main(args) == 0, text
    files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    return {m.name: {f.name: f for f in m.field} for m in files.file[0].message_type}


@pytest.mark.parametrize("fork", FORKS)
def test_forks_keep_their_numbers(fork, tmp_path):
    numbers = {"tsn": (137, 8211), "author": (8210, 142), "published": (150, 151)}
    tree = write_tree(tmp_path / "tree", fork)
    old = (tree / "src/caffe/proto/caffe.proto").read_bytes().decode("latin-1")
    result = merged(old)
    messages = compiled(result.text, tmp_path)
    layer = messages["LayerParameter"]
    found = (layer["bn_param"].number, layer["pooling3d_param"].number)
    assert found == numbers.get(fork, (8210, 8211))
    assert messages["Pooling3DParameter"]["round_mode"].number == 8210
    assert messages["Pooling3DParameter"]["stride_l"].default_value == "1"
    assert messages["BNParameter"]["eps"].number == 4
    kept = [n for n in ("bn_param", "pooling3d_param") if layer[n].number < 8210]
    assert [note.split()[0] for note in result.notes] == kept
    before = [line for line in old.split("\n") if line]
    after = iter(result.text.split("\n"))
    assert all(line in after for line in before), "lines were lost or moved"


def test_messages_without_fields(tmp_path):
    """The state that the published instructions leave a tree in."""
    messages = compiled(merged(proto("", BN_MESSAGE + POOLING_MESSAGE)).text, tmp_path)
    assert messages["LayerParameter"]["bn_param"].number == 8210


def test_indentation_is_the_file_s(tmp_path):
    text = merged(proto("", POOLING_MESSAGE)).text
    assert "\n\toptional uint32 stride_l = 13 [default = 1];\n" in text
    assert "\n\tenum RoundMode {\n\t  CEIL = 0;\n" in text
    assert "\n  optional Pooling3DParameter pooling3d_param = 8211;\n}" in text


def test_missing_enum_values_and_one_line_blocks(tmp_path):
    text = proto("", BN_MESSAGE.replace(" CUDNN = 2;", ""))
    messages = compiled(merged(text).text, tmp_path)
    assert messages["BNParameter"]["engine"].number == 6
    assert parse(merged(text).text, "")["BNParameter"].blocks["Engine"].values == {
        "DEFAULT": 0,
        "CAFFE": 1,
        "CUDNN": 2,
    }


REFUSED = {
    "number": (proto("  optional bool other = 8210;\n"), "8210 for bn_param, which other has"),
    "number in a oneof": (
        proto("  oneof kind { bool other = 8211; }\n"),
        "8211 for pooling3d_param, which other has",
    ),
    "reserved": (proto("  reserved 7, 8000 to 9000;\n"), "which a reserved range has"),
    "extensions": (proto("  extensions 1000 to max;\n"), "which a reserved range has"),
    "field's type": (proto("  optional bool bn_param = 137;\n"), "is optional bool there"),
    "field's label": (
        proto("  repeated BNParameter bn_param = 137;\n", BN_MESSAGE),
        "is repeated BNParameter there",
    ),
    "case": (
        proto("  optional Pooling3DParameter pooling3D_param = 145;\n", POOLING_MESSAGE),
        "calls it pooling3D_param",
    ),
    "case of another layer's field": (
        proto("  optional C3DParameter pooling3D_param = 145;\n"),
        "pooling3D_param is optional C3DParameter there, .* Rename it, its message and its field",
    ),
    "case of a field, and another message": (
        proto(
            "  optional Pooling3DParameter pooling3D_param = 145;\n",
            "message Pooling3DParameter { optional uint32 kernel_size = 2; }\n",
        ),
        "has kernel_size for number 2, .* Rename it, its message and its field",
    ),
    "message's number": (
        proto("", POOLING_MESSAGE.replace("kernel_size = 3", "kernel_size = 6")),
        "kernel_size has number 6, .* it is 3",
    ),
    "message's type": (
        proto("", BN_MESSAGE.replace("float momentum", "double momentum")),
        "momentum has type double",
    ),
    "message's default": (
        proto("", BN_MESSAGE.replace("0.00001", "1e-3")),
        "eps has default 0.001, .* it is 1e-05",
    ),
    "number taken in the message": (
        proto("", BN_MESSAGE.replace("optional bool frozen", "optional bool bn_mode")),
        "has bn_mode for number 5, .* that is frozen: this tree's layer is another one",
    ),
    "enum's number": (
        proto("", BN_MESSAGE.replace("CAFFE = 1; CUDNN = 2", "CUDNN = 1; CAFFE = 2")),
        "Engine.CAFFE is 2, and in the published nets it is 1",
    ),
    "enum's number taken": (
        proto("", BN_MESSAGE.replace("CUDNN = 2", "MKL = 2")),
        "has no CUDNN",
    ),
    "twice a number": (
        proto("  optional bool a = 106;\n"),
        "convolution_param and a .*have the same number 106",
    ),
    "twice a name": (
        proto("  optional bool name = 200;\n"),
        "have the same name",
    ),
    "twice a message": (proto("", BN_MESSAGE + BN_MESSAGE), "message BNParameter is there twice"),
    "a bracket too few": (proto().rstrip().rstrip("}"), "unmatched brackets"),
    "a bracket in the wrong place": ("}" + proto().rstrip().rstrip("}"), "is never closed"),
    "no layers": ('syntax = "proto2";\n', "has no message LayerParameter"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    text, message = REFUSED[name]
    with pytest.raises(Refusal, match=message):
        merge(text, FRAGMENT, "caffe.proto")


def test_the_schema_of_the_package_agrees():
    """python/p3d reads the same nets as a Caffe with the layers."""
    package = (ROOT / "python/p3d/caffe/proto/caffe.proto").read_text()
    result = merge(package, FRAGMENT, "caffe.proto")
    assert result.text == package
    assert result.notes == []
    ours, theirs = parse(package, ""), parse(FRAGMENT, "")
    for name in ("BNParameter", "Pooling3DParameter"):
        assert ours[name].fields.keys() == theirs[name].fields.keys()
        for enum, values in ours[name].blocks.items():
            assert values.values == theirs[name].blocks[enum].values, f"{name}.{enum}"
