"""Caffe's messages (caffe.proto), usable like the module that protoc generates.

    net = caffe_pb2.NetParameter()
    net.layer.add(name="conv1", type="Convolution")
    caffe_pb2.PoolingParameter.MAX, caffe_pb2.TEST, caffe_pb2.Phase.Value("TEST")

The classes live in a descriptor pool of their own: the caffe_pb2 of a real Caffe
describes the same names in protobuf's default pool, and both can be imported into
one process. They come from caffe.desc, which tools/compile_proto.py writes.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper


def _message_class(pool: descriptor_pool.DescriptorPool, name: str) -> Any:
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):  # since protobuf 4.22
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def _module_contents() -> dict[str, Any]:
    """The pool's file descriptor, message classes, enums and enum values by name."""
    compiled = resources.files(__package__).joinpath("caffe.desc").read_bytes()
    file = descriptor_pb2.FileDescriptorSet.FromString(compiled).file[0]
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    contents: dict[str, Any] = {"DESCRIPTOR": pool.FindFileByName(file.name)}
    for message in file.message_type:
        cls = _message_class(pool, f"{file.package}.{message.name}")
        cls.__module__ = __name__  # pickle looks here for the class
        contents[message.name] = cls
    for enum in file.enum_type:
        descriptor = pool.FindEnumTypeByName(f"{file.package}.{enum.name}")
        contents[enum.name] = enum_type_wrapper.EnumTypeWrapper(descriptor)
        contents.update((value.name, value.number) for value in enum.value)
    return contents


globals().update(_module_contents())


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
