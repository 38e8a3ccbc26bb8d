"""Small nets whose layers a plan can join, or must not."""

from __future__ import annotations

from pathlib import Path

TINY_FILE = Path(__file__).parent / "golden" / "tiny" / "tiny.prototxt"
TINY = TINY_FILE.read_text()


def conv(name: str, bottom: str, outputs: int, more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ num_output: {outputs} kernel_size: 1 {more} "
        'weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" } } }\n'
    )


def layer(kind: str, name: str, bottoms: str, top: str = "", more: str = "") -> str:
    listed = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    tops = " ".join(f'top: "{t}"' for t in (top or name).split())
    return f'layer {{ name: "{name}" type: "{kind}" {listed} {tops} {more} }}\n'


def data(*shape: int) -> str:
    dims = " ".join(f"dim: {d}" for d in shape)
    return (
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}\n'
    )


def shared(name: str, bottom: str, stride: int) -> str:
    """One of several convolutions that share their weights by name."""
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        'param { name: "shared" } convolution_param { num_output: 48 kernel_size: 3 pad: 1 '
        f"stride: {stride} bias_term: false "
        'weight_filler { type: "xavier" } } }\n'
    )


NETS = {
    "tiny_p3d": TINY,
    "shared_weights": data(2, 48, 2, 40, 40)
    + shared("a", "data", 1)
    + shared("b", "a", 4)
    + shared("c", "b", 4),
    "bias_only": data(2, 3, 2, 4, 5) + conv("c", "data", 5),
    "two_affine": data(2, 3, 2, 4, 5)
    + conv("c", "data", 5, "bias_term: false")
    + layer("BN", "bn", "c")
    + layer("Scale", "scale", "bn", more="scale_param { bias_term: true }")
    + layer("ReLU", "relu", "scale", "scale"),
    "batch_norm_scale": data(2, 3, 4, 5)
    + conv("c", "data", 5)
    + layer("BatchNorm", "bn", "c", "c")
    + layer("Scale", "scale", "c", "c")
    + layer("ReLU", "relu", "c", "c"),
    "relu_then_bn": data(2, 3, 2, 4, 5)
    + conv("c", "data", 5)
    + layer("ReLU", "relu", "c", "c")
    + layer("BN", "bn", "c"),
    "leaky": data(2, 3, 2, 4, 5)
    + conv("c", "data", 5)
    + layer("ReLU", "relu", "c", "c", "relu_param { negative_slope: 0.25 }"),
    "sum_coefficients": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + conv("b", "data", 5)
    + layer("ReLU", "relu_b", "b", "b")
    + layer("Eltwise", "sum", "a b", more="eltwise_param { coeff: 0.5 coeff: -2 }")
    + layer("ReLU", "relu", "sum", "sum"),
    "sum_with_input": data(2, 3, 2, 4, 5)
    + conv("a", "data", 3)
    + layer("Eltwise", "sum", "data a")
    + conv("b", "sum", 4),
    "sum_of_sums": data(2, 3, 2, 4, 5)
    + conv("a", "data", 3)
    + layer("Eltwise", "s1", "data a")
    + layer("Eltwise", "s2", "s1 data"),
    "sum_of_one_twice": data(2, 3, 2, 4, 5)
    + conv("a", "data", 3)
    + layer("Eltwise", "sum", "a a"),
    "sum_of_three": data(2, 3, 2, 4, 5)
    + conv("a", "data", 3)
    + conv("b", "data", 3)
    + layer("Eltwise", "sum", "data a b"),
    "product": data(2, 3, 2, 4, 5)
    + conv("a", "data", 3)
    + layer("Eltwise", "product", "data a", more="eltwise_param { operation: PROD }"),
    "read_twice": data(2, 3, 2, 4, 5)
    + conv("a", "data", 3)
    + layer("ReLU", "relu", "a", "r")
    + layer("Concat", "both", "a r")
    + layer("Softmax", "prob", "both"),
    "dropout_between": data(2, 3, 4, 5)
    + conv("a", "data", 3)
    + layer("Dropout", "drop", "a", "a")
    + layer("ReLU", "relu", "a", "a")
    + layer("InnerProduct", "fc", "a", more="inner_product_param { num_output: 4 "
            'weight_filler { type: "gaussian" } }'),
    "vector_input": data(3, 7)
    + layer("InnerProduct", "fc1", "data", more="inner_product_param { num_output: 6 "
            'weight_filler { type: "gaussian" } }')
    + layer("ReLU", "relu", "fc1", "r1")
    + layer("InnerProduct", "fc2", "r1", more="inner_product_param { num_output: 2 "
            'weight_filler { type: "gaussian" } }'),
    "reshape_between": data(2, 4, 1, 3, 5)
    + conv("a", "data", 6)
    + layer("Reshape", "flat", "a", more="reshape_param { shape { dim: -1 } axis: 1 num_axes: 2 }")
    + conv("b", "flat", 3)
    + layer("Reshape", "odd", "b", more="reshape_param { shape { dim: 0 dim: 5 dim: -1 } }")
    + layer("Softmax", "prob", "odd"),
    "flatten_then_relu": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + layer("Flatten", "flat", "a")
    + layer("ReLU", "relu", "flat", "flat"),
    "reshape_then_scale": data(2, 3, 2, 4, 5)
    + conv("a", "data", 7)
    + layer("Reshape", "rows", "a", more="reshape_param { shape { dim: 0 dim: 1 dim: -1 } }")
    + layer("Scale", "s", "rows", more="param { lr_mult: 0 } scale_param { filler { value: -2 } }"),
    "sum_of_flattened": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + conv("b", "data", 5)
    + layer("Flatten", "flat_a", "a")
    + layer("Flatten", "flat_b", "b")
    + layer("Eltwise", "sum", "flat_a flat_b")
    + layer("ReLU", "relu", "sum", "sum"),
    "flatten_at_the_end": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + layer("ReLU", "relu", "a", "a")
    + layer("Flatten", "flat", "a"),
    "same_shape_at_the_end": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + layer("Reshape", "same", "a", more="reshape_param { shape { dim: [0, 0, 0, 0, 0] } }")
    + layer("ReLU", "relu", "same", "same"),
    "same_shape_then_relu": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + layer("Reshape", "same", "a", more="reshape_param { shape { dim: [0, 0, 0, 0, 0] } }")
    + layer("ReLU", "relu", "same", "same")
    + conv("b", "same", 3),
}  # fmt: skip
