"""The matrix of an InfogainLoss layer that names a file: the engine reads no files."""

from __future__ import annotations

from typing import Any

from .blob_io import read_blobproto


def add_matrices(layers: list[dict[str, Any]]) -> None:
    """Gives the layer descriptions what infogain_loss_param's `source` holds, a BlobProto, as
    the further field "matrix". A third bottom makes the file unnecessary."""
    for layer in layers:
        param = layer["fields"].get("infogain_loss_param", {})
        if layer["type"] == "InfogainLoss" and len(layer["bottom"]) < 3 and param.get("source"):
            where = f"InfogainLoss {layer['name']!r}: file {param['source']}"
            param["matrix"] = read_blobproto(param["source"], where, "matrix").ravel().tolist()
