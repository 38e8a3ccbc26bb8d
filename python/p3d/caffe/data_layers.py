"""Layers that read and write files: the engine's classes for them are written in Python."""

from __future__ import annotations

from typing import Any

MODULES = {
    "Data": "p3d.data.data",
    "HDF5Data": "p3d.data.hdf5_data",
    "HDF5Output": "p3d.data.hdf5_output",
    "ImageData": "p3d.data.image_data",
    "MemoryData": "p3d.data.memory_data",
    "VideoData": "p3d.video_data",
}
"""The module of each type; the class in it is called like the type."""


def add_classes(net: Any, layers: list[dict[str, Any]]) -> None:
    """Gives the descriptions of such layers of a NetParameter (see `describe`) the python_param
    that names the class, with the layer's part of the prototxt as param_str."""
    for layer, described in zip(net.layer, layers, strict=True):
        if layer.type in MODULES:
            text = video_text(layer) if layer.type == "VideoData" else str(layer)
            param = {"module": MODULES[layer.type], "layer": layer.type, "param_str": text}
            described["fields"]["python_param"] = {**param, "has": list(param)}


def video_text(layer: Any) -> str:
    """video_data_param alone: what a real Caffe's Python layer is given. What transform_param says
    besides is the same by the same names."""
    param = type(layer.video_data_param)()
    if layer.HasField("transform_param"):
        for field, value in layer.transform_param.ListFields():
            if field.name == "mean_value":
                param.mean_value.extend(value)
            elif field.name in param.DESCRIPTOR.fields_by_name:
                setattr(param, field.name, value)
    if layer.video_data_param.mean_value:
        param.ClearField("mean_value")
    param.MergeFrom(layer.video_data_param)
    return str(param)
