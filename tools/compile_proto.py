"""Writes caffe.desc, the compiled form of python/p3d/caffe/proto/caffe.proto.

Run it after a change of the .proto:  python tools/compile_proto.py
Needs the package grpcio-tools, which brings the protobuf compiler.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PROTO = Path(__file__).resolve().parent.parent / "python/p3d/caffe/proto/caffe.proto"


def compile_proto(proto: Path) -> bytes:
    """The serialized FileDescriptorSet of a .proto file."""
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.desc"
        arguments = ["protoc", f"-I{proto.parent}", f"--descriptor_set_out={out}", proto.name]
        if protoc.main(arguments) != 0:
            raise SystemExit(f"{proto} does not compile; see the lines above")
        return out.read_bytes()


def main() -> None:
    target = PROTO.with_suffix(".desc")
    temporary = target.with_suffix(".desc.tmp")
    temporary.write_bytes(compile_proto(PROTO))
    os.replace(temporary, target)
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
