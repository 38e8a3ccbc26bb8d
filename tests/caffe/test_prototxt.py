"""prototxt -> NetParameter -> plain data, and what is said about faulty files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import p3d
from p3d.caffe import prototxt
from p3d.caffe.proto import caffe_pb2
from p3d.caffe.prototxt import describe, parse_net, prepare, read_message, read_net

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }\n'


def relu(name: str, bottom: str, top: str, more: str = "") -> str:
    return f'layer {{ name: "{name}" type: "ReLU" bottom: "{bottom}" top: "{top}" {more} }}\n'


def names(net: Any) -> list[str]:
    return [layer.name for layer in net.layer]


# ---------------------------------------------------------------- faulty texts

# (what is wrong, text, words that the error must have)
FAULTS = [
    ("empty", "", ["net.prototxt", "empty"]),
    ("only comments", "# nothing here\n", ["no layer"]),
    ("misspelt field", 'layer {\n  bn_parm { frozen: true }\n}',
     ["net.prototxt", "line 2", "LayerParameter", "bn_parm", "did you mean 'bn_param'"]),
    ("field of an unknown type", 'layer { name: "up" type: "Interp" interp_param { height: 3 } }',
     ["net.prototxt", "Interp 'up'", "no layer type Interp", "layer_type_list", 'layer: "Interp"']),
    ("field and type misspelt", 'layer { name: "p" type: "Pooling3d" pooling3d_parm { } }',
     ["Pooling3d 'p'", "did you mean 'Pooling3D' or 'Pooling'", "class Pooling3d(caffe.Layer)"]),
    ("field of what a real Caffe reads", 'layer { name: "d" type: "WindowData" data_parm { } }',
     ["WindowData 'd'", "windows", "VideoData"]),
    ("misspelt inside", "layer { pooling3d_param { kernel_lenght: 2 } }", ["kernel_lenght"]),
    ("field one level too high", "layer {\n num_output: 3\n}",
     ["line 2", "num_output", "convolution_param"]),
    ("a solver", 'net: "x.prototxt"\nbase_lr: 0.1', ["line 1", "'net'", "solver"]),
    ("enum value", "layer {\n\n pooling_param { pool: MXA } }",
     ["line 3", "PoolMethod", "MXA", "MAX, AVE, STOCHASTIC"]),
    ("enum number", "layer { phase: 7 }", ["Phase", "7", "TRAIN, TEST"]),
    ("unquoted name", "layer { name: conv1 }", ["line 1", "quotes", "conv1"]),
    ("open block", 'layer {\n name: "a"\n', ["not closed", "}"]),
    ("one brace too many", INPUT + "}", ["line 2"]),
    ("open quote", 'layer { name: "a\n }', ["line 1"]),
    ("twice", 'name: "a"\nname: "b"', ["line 2", "name", "only once"]),
    ("number too large", "layer { input_param { shape { dim: 99999999999999999999 } } }",
     ["line 1", "out of range"]),
    ("very many digits", "input_dim: " + "9" * 100_000, ["line 1"]),
    ("fraction for a whole number", "input_dim: 1.5", ["line 1", "1.5"]),
    ("bool", "force_backward: yes", ["line 1", "true"]),
    ("not UTF-8", 'layer { name: "\udcff" }', ["line 1", "UTF-8"]),
    ("escape that is not UTF-8", 'layer { name: "\\377" }', ["line 1", "UTF-8"]),
    ("field that is not UTF-8", 'n\udc80me: "a"', ["line 1", "UTF-8"]),
    ("not UTF-8 after a # in quotes", 'name: "#\udc80"', ["line 1", "UTF-8"]),
    ("NUL", INPUT + "\0", ["line 2"]),
    ("extension", "[a.b]: 1", ["line 1"]),
    ("both formats", 'layer { name: "a" } layers { name: "b" }', ["`layer`", "`layers`"]),
    ("deep", "layer { " * 10_000, ["LayerParameter has no field 'layer'"]),
    ("too many blocks", "layer{}" * 200_001, ["200000 blocks"]),
    ("a line without end", 'name: "' + "x" * prototxt.MAX_LINE + '"', ["break it"]),
    ("input sizes missing", 'input: "data" input_dim: 1 input_dim: 3',
     ["1 `input`", "2 `input_dim`"]),
    ("input shapes missing", 'input: "a" input: "b" input_shape { dim: 1 }', ["2 `input`"]),
    ("V0 type", 'layers { layer { name: "c" type: "conv3" } }', ["'c'", "conv3", "conv, data"]),
    ("V0 padding for a relu",
     'layers { layer { type: "padding" pad: 1 } bottom: "a" top: "p" }'
     'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }', ["'r'", "padding"]),
    ("V0 padding without bottom", 'layers { layer { type: "padding" name: "p" } }', ["'p'"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_faulty_text(text: str, words: list[str]) -> None:
    with pytest.raises(p3d.Error) as caught:
        parse_net(text, "net.prototxt")
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert len(message) < 500


# (what is wrong, text of the net, words that the error must have)
FAULTY_NETS = [
    ("unknown bottom", INPUT + relu("r", "dat", "r"), ["'r'", "'dat'", "did you mean 'data'"]),
    ("made later", INPUT + relu("r", "b", "r") + relu("s", "data", "b"), ["'s'", "further down"]),
    ("left out", INPUT + relu("a", "data", "a", "include { phase: TRAIN }") + relu("b", "a", "b"),
     ["'b'", "'a'", "rules"]),
    ("two producers", INPUT + relu("r", "data", "r") + relu("s", "data", "r"), ["'s'", "'r'"]),
    ("in place on a shared blob", INPUT + relu("r", "data", "data") + relu("s", "data", "s")
     + relu("t", "s", "x") + relu("u", "s", "s"), ["'u'", "'s'", "in place"]),
    ("no type", 'layer { name: "n" top: "n" }', ["'n'", "type"]),
    ("both rules", INPUT + relu("r", "data", "r", "include {} exclude {}"), ["'r'", "include"]),
    ("nothing left", 'layer { name: "a" type: "ReLU" include { phase: TRAIN } }',
     ["none of the net's 1 layers", "TEST"]),
    ("propagate_down", INPUT + relu("r", "data", "r", "propagate_down: 1 propagate_down: 1"),
     ["'r'", "2 propagate_down", "1 bottoms"]),
    ("Clip", INPUT + 'layer { name: "c" type: "Clip" bottom: "data" top: "c" clip_param {min: 0} }',
     ["'c'", "min and max"]),
    ("long name", INPUT + relu("n" * 600, "data", "r"), ["600 characters"]),
    ("many uses", INPUT + 'layer { type: "Concat" top: "c"' + 'bottom:"data"\n' * 200_000 + "}",
     ["200000"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"), [f[1:] for f in FAULTY_NETS], ids=[f[0] for f in FAULTY_NETS]
)
def test_faulty_net(text: str, words: list[str]) -> None:
    net = parse_net(text)
    with pytest.raises(p3d.Error) as caught:
        prepare(net, TEST)
    message = str(caught.value)
    assert all(word in message for word in words), message


# (what it is, its bytes, words that the error must have)
FAULTY_FILES = [
    ("a caffemodel", b"\x0a\x04name\xa2\x06\x20\x0a\x05conv1\x12\x0bConvolution",
     ["binary", "weights"]),
    ("an HDF5 file", b"\x89HDF\r\n\x1a\n", ["binary"]),
    ("zeros", bytes(100), ["binary"]),
    ("UTF-16", "layer { }".encode("utf-16"), ["UTF-16", "UTF-8"]),
    ("too long", b"# " + b"x" * prototxt.MAX_BYTES, ["8 MiB"]),
    ("empty", b"", ["empty"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"), [f[1:] for f in FAULTY_FILES], ids=[f[0] for f in FAULTY_FILES]
)
def test_faulty_file(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(content)
    with pytest.raises(p3d.Error) as caught:
        read_net(path)
    assert all(word in str(caught.value) for word in [*words, str(path)]), str(caught.value)


@pytest.mark.parametrize("path", ["missing.prototxt", ".", "a\0b", ""])
def test_file_that_cannot_be_opened(path: str) -> None:
    with pytest.raises(RuntimeError, match="Could not open file"):
        read_net(path)


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + INPUT.encode(), b"# Gr\xfc\xdfe, \xc4\xe3\n" + INPUT.encode(),
     INPUT.replace("\n", "\r\n").encode(), INPUT.replace(" ", "\t").encode()],
    ids=["byte order mark", "comment in another encoding", "CR LF", "tabs"],
)  # fmt: skip
def test_odd_but_good_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(content)
    assert names(read_net(path)) == ["data"]


def test_read_message(tmp_path: Path) -> None:
    path = tmp_path / "solver.prototxt"
    path.write_text("base_lr: 0.25\nsolver_mode: CPU\n")
    solver = read_message(path, caffe_pb2.SolverParameter)
    assert (solver.base_lr, solver.solver_mode) == (0.25, caffe_pb2.SolverParameter.CPU)


# ---------------------------------------------------------------- old formats


def test_v1_layer() -> None:
    net = parse_net(
        'layers { name: "c" type: CONVOLUTION bottom: "a" bottom: "b" top: "c"'
        '  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 param: "w"'
        "  blob_share_mode: PERMISSIVE loss_weight: 3"
        "  include { phase: TRAIN } convolution_param { num_output: 4 } }"
        'layers { name: "l" type: SOFTMAX_LOSS loss_param { ignore_label: 7 } }'
    )
    conv, loss = net.layer
    assert not net.layers
    assert (conv.name, conv.type, list(conv.bottom)) == ("c", "Convolution", ["a", "b"])
    assert [(p.name, p.lr_mult, p.decay_mult) for p in conv.param] == [("w", 1, 1), ("", 2, 0)]
    assert conv.param[0].share_mode == caffe_pb2.ParamSpec.PERMISSIVE
    assert not conv.param[1].HasField("share_mode")
    assert list(conv.loss_weight) == [3]
    assert conv.include[0].phase == TRAIN
    assert conv.convolution_param.num_output == 4
    assert (loss.type, loss.loss_param.ignore_label) == ("SoftmaxWithLoss", 7)


def test_every_v1_type_has_a_name_today() -> None:
    for name in caffe_pb2.V1LayerParameter.LayerType.keys():  # noqa: SIM118
        (layer,) = parse_net(f"layers {{ type: {name} }}").layer
        assert layer.type.lower() in (
            name.replace("_", "").lower().replace("none", ""),
            name.replace("_LOSS", "_WITH_LOSS").replace("_", "").lower(),
        )


@pytest.mark.parametrize("kind", ["DATA", "IMAGE_DATA", "WINDOW_DATA"])
def test_v1_transform_fields(kind: str) -> None:
    field = kind.lower() + "_param"
    (layer,) = parse_net(
        f'layers {{ type: {kind} {field} {{ source: "s" scale: 2 mean_file: "m" crop_size: 3 '
        "mirror: true } }"
    ).layer
    moved = layer.transform_param
    assert (moved.scale, moved.mean_file, moved.crop_size, moved.mirror) == (2, "m", 3, True)
    left = [f.name for f, _ in getattr(layer, field).ListFields()]
    assert left == ["source"]


def test_v0_net() -> None:
    net = parse_net(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8 '
        'layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "data" top: "pad" }'
        'layers { layer { name: "c" type: "conv" num_output: 5 kernelsize: 3 stride: 2 group: 1'
        '  biasterm: false weight_filler { type: "xavier" } blobs_lr: 1 weight_decay: 0 }'
        '  bottom: "pad" top: "c" }'
        'layers { layer { name: "p" type: "pool" pool: AVE kernelsize: 3 } bottom: "c" top: "p" }'
        'layers { layer { name: "d" type: "dropout" dropout_ratio: 0.25 } bottom: "p" top: "p" }'
        'layers { layer { name: "h" type: "hdf5_output" hdf5_output_param { file_name: "f" } } }'
        'layers { layer { name: "i" type: "images" source: "s" batchsize: 2 meanfile: "m"'
        "  cropsize: 3 new_height: 4 shuffle_images: true } }"
    )
    assert names(net) == ["input", "c", "p", "d", "h", "i"]
    shape, conv, pool, drop, hdf5, images = net.layer
    assert list(shape.input_param.shape[0].dim) == [1, 3, 8, 8]
    param = conv.convolution_param
    assert list(conv.bottom) == ["data"]
    assert (list(param.pad), list(param.kernel_size), list(param.stride)) == ([2], [3], [2])
    assert (param.num_output, param.bias_term, param.weight_filler.type) == (5, False, "xavier")
    assert (conv.param[0].lr_mult, conv.param[0].decay_mult) == (1, 0)
    assert pool.pooling_param.pool == caffe_pb2.PoolingParameter.AVE
    assert pool.pooling_param.kernel_size == 3
    assert drop.dropout_param.dropout_ratio == 0.25
    assert hdf5.hdf5_output_param.file_name == "f"
    data = images.image_data_param
    assert (data.source, data.batch_size, data.new_height, data.shuffle) == ("s", 2, 4, True)
    assert (images.transform_param.mean_file, images.transform_param.crop_size) == ("m", 3)


def test_v0_field_that_its_type_has_no_use_for(caplog: pytest.LogCaptureFixture) -> None:
    net = parse_net('layers { layer { name: "r" type: "relu" num_output: 5 } }')
    assert net.layer[0].type == "ReLU"
    assert "num_output" in caplog.text


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ('input: "a" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 ', [[1, 2, 3, 4]]),
        ('input: "a" input: "b" ' + "".join(f"input_dim: {i} " for i in range(8)),
         [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ('input: "a" ' + "".join(f"input_dim: {i} " for i in range(5)), [[0, 1, 2, 3, 4]]),
        ('input: "a" input_shape { dim: 1 dim: 9 }', [[1, 9]]),
    ],
    ids=["four", "two inputs", "a clip", "shape"],
)  # fmt: skip
def test_input_fields(text: str, shapes: list[list[int]]) -> None:
    net = parse_net(text + relu("r", "a", "r"))
    assert names(net) == ["input", "r"]
    assert [list(shape.dim) for shape in net.layer[0].input_param.shape] == shapes
    assert not [*net.input, *net.input_dim, *net.input_shape]


def test_input_without_sizes_is_dropped() -> None:
    assert names(parse_net('input: "data"' + relu("r", "data", "r"))) == ["r"]


@pytest.mark.parametrize(("count", "lr_mult"), [(2, 5), (3, 0), (4, 5)])
def test_batch_norm_with_three_params_trains_nothing(count: int, lr_mult: float) -> None:
    text = 'layer { type: "BatchNorm" ' + "param { lr_mult: 5 decay_mult: 5 }" * count + "}"
    specs = parse_net(text).layer[0].param
    assert {(spec.lr_mult, spec.decay_mult) for spec in specs} == {(lr_mult, lr_mult)}


# ---------------------------------------------------------------- rules


# (rules of the layer, phase, level, stages, does the layer exist)
RULES = [
    ("", TEST, 0, [], True),
    ("include { phase: TRAIN }", TRAIN, 0, [], True),
    ("include { phase: TRAIN }", TEST, 0, [], False),
    ("exclude { phase: TRAIN }", TRAIN, 0, [], False),
    ("exclude { phase: TRAIN }", TEST, 0, [], True),
    ("include { phase: TRAIN } include { phase: TEST }", TEST, 0, [], True),
    ("exclude { phase: TRAIN } exclude { phase: TEST }", TEST, 0, [], False),
    ("include { min_level: 2 }", TEST, 1, [], False),
    ("include { min_level: 2 }", TEST, 2, [], True),
    ("include { max_level: 2 }", TEST, 2, [], True),
    ("include { max_level: 2 }", TEST, 3, [], False),
    ("include { max_level: 2 }", TEST, -1, [], True),
    ('include { stage: "a" }', TEST, 0, [], False),
    ('include { stage: "a" }', TEST, 0, ["b", "a"], True),
    ('include { stage: "a" stage: "b" }', TEST, 0, ["a"], False),
    ('include { stage: "a" stage: "b" }', TEST, 0, ["a", "b"], True),
    ('include { not_stage: "a" }', TEST, 0, ["a"], False),
    ('include { not_stage: "a" }', TEST, 0, ["b"], True),
    ('include { stage: "a" not_stage: "b" }', TEST, 0, ["a", "b"], False),
    ('exclude { stage: "a" phase: TRAIN }', TEST, 0, ["a"], True),
    ('exclude { stage: "a" phase: TEST }', TEST, 0, ["a"], False),
    ("include { }", TEST, 0, [], True),
    ("exclude { }", TEST, 0, [], False),
]


@pytest.mark.parametrize(("rules", "phase", "level", "stages", "exists"), RULES)
def test_rules(rules: str, phase: int, level: int, stages: list[str], exists: bool) -> None:
    net = parse_net(INPUT + relu("r", "data", "r", rules))
    assert ("r" in names(prepare(net, phase, level, stages))) == exists
    assert names(net) == ["data", "r"], "prepare changed its argument"


def test_stages_of_the_net_itself_count() -> None:
    net = parse_net(
        'state { stage: "a" }' + INPUT + relu("r", "data", "r", 'include { stage: "a" }')
    )
    assert names(prepare(net, TEST)) == ["data", "r"]


def test_phase_of_layers() -> None:
    net = parse_net(INPUT + relu("r", "data", "r", "phase: TEST"))
    assert [layer.phase for layer in prepare(net, TRAIN).layer] == [TRAIN, TEST]


# ---------------------------------------------------------------- splits


def wiring(net: Any) -> list[tuple[str, list[str], list[str]]]:
    return [(layer.name, list(layer.bottom), list(layer.top)) for layer in net.layer]


def test_split_names() -> None:
    net = prepare(parse_net(INPUT + relu("a", "data", "x") + relu("b", "data", "y")), TEST)
    assert wiring(net) == [
        ("data", [], ["data"]),
        ("data_data_0_split", ["data"], ["data_data_0_split_0", "data_data_0_split_1"]),
        ("a", ["data_data_0_split_0"], ["x"]),
        ("b", ["data_data_0_split_1"], ["y"]),
    ]
    assert net.layer[1].type == "Split"


def test_split_after_layers_in_place() -> None:
    text = INPUT + relu("a", "data", "x") + relu("r", "x", "x")
    text += relu("b", "x", "b") + relu("c", "x", "c")
    assert wiring(prepare(parse_net(text), TEST))[2:4] == [
        ("r", ["x"], ["x"]),
        ("x_r_0_split", ["x"], ["x_r_0_split_0", "x_r_0_split_1"]),
    ]


def test_split_of_the_second_top() -> None:
    text = INPUT + 'layer { name: "s" type: "Slice" bottom: "data" top: "p" top: "q" }'
    text += 'layer { name: "e" type: "Eltwise" bottom: "q" bottom: "q" top: "e" }'
    assert wiring(prepare(parse_net(text), TEST))[2:] == [
        ("q_s_1_split", ["q"], ["q_s_1_split_0", "q_s_1_split_1"]),
        ("e", ["q_s_1_split_0", "q_s_1_split_1"], ["e"]),
    ]


def test_split_of_a_loss_that_is_read() -> None:
    text = INPUT + relu("l", "data", "l", "loss_weight: 0.5") + relu("r", "l", "r")
    _, loss, split, reader = prepare(parse_net(text), TEST).layer
    assert (list(loss.loss_weight), list(split.loss_weight)) == ([], [0.5, 0])
    assert list(reader.bottom) == ["l_l_0_split_1"]


def test_loss_weight_zero_needs_no_split() -> None:
    text = INPUT + relu("l", "data", "l", "loss_weight: 0") + relu("r", "l", "r")
    assert names(prepare(parse_net(text), TEST)) == ["data", "l", "r"]


# ---------------------------------------------------------------- description


def test_description_of_a_layer() -> None:
    (layer,), _ = describe(
        prepare(
            parse_net(
                'layer { name: "c" type: "Convolution" top: "c" loss_weight: 2'
                ' param { name: "w" lr_mult: 3 share_mode: PERMISSIVE } param { }'
                " convolution_param { num_output: 4 pad: 0 pad: 1 pad_mode: REPLICATE"
                '  weight_filler { type: "gaussian" std: 0.5 } engine: DEFAULT }'
                " dropout_param { } }"
            ),
            TRAIN,
        )
    )
    fields = layer.pop("fields")
    assert layer == {
        "name": "c", "type": "Convolution", "bottom": [], "top": ["c"], "phase": 0,
        "loss_weight": [2.0], "propagate_down": [],
        "param": [
            {"name": "w", "share_mode": "PERMISSIVE", "lr_mult": 3.0, "decay_mult": None},
            {"name": "", "share_mode": "STRICT", "lr_mult": None, "decay_mult": None},
        ],
    }  # fmt: skip
    assert list(fields) == ["convolution_param", "dropout_param"]
    conv = fields["convolution_param"]
    assert sorted(conv["has"]) == ["engine", "num_output", "pad", "pad_mode", "weight_filler"]
    assert (conv["num_output"], conv["pad"], conv["stride"]) == (4, [0, 1], [])
    assert (conv["engine"], conv["pad_mode"], conv["bias_term"]) == ("DEFAULT", "REPLICATE", True)
    assert conv["weight_filler"]["has"] == ["type", "std"]
    assert (conv["weight_filler"]["type"], conv["weight_filler"]["std"]) == ("gaussian", 0.5)
    assert (conv["bias_filler"]["has"], conv["bias_filler"]["type"]) == ([], "constant")
    assert fields["dropout_param"] == {"has": [], "dropout_ratio": 0.5}


def test_description_of_repeated_messages() -> None:
    layers, _ = describe(parse_net(INPUT))
    shapes = layers[0]["fields"]["input_param"]["shape"]
    assert shapes == [{"has": ["dim"], "dim": [1, 3]}]


def test_defaults_cover_every_param_and_stay_untouched() -> None:
    text = 'layer { type: "BN" bn_param { frozen: true slope_filler { value: 7 } } }'
    layers, defaults = describe(parse_net(text))
    assert layers[0]["fields"]["bn_param"]["slope_filler"]["value"] == 7
    assert set(defaults) == {
        field.name
        for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
        if field.name.endswith("_param")
    }
    assert len(defaults) > 45
    bn = defaults["bn_param"]
    assert (bn["frozen"], bn["slope_filler"]["value"], bn["has"]) == (False, 0, [])
    assert defaults["pooling3d_param"]["pool"] == "MAX"
    assert defaults["python_param"]["param_str"] == ""
    assert defaults["clip_param"]["min"] == 0
