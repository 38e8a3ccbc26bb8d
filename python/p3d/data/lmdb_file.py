"""Reads LMDB databases, the kind that Caffe's tools write, without the library.

The library maps a file into memory and trusts it, so a damaged one ends the process; here it is an
Error. The format is that of LMDB 0.9 (`mdb.c` there): pages of one size, a B+ tree of them with
the records in order of their keys in its leaves, and values that are larger than a part of a page
in pages of their own. Two pages at the start hold the root, of which the newer is valid.
"""

from __future__ import annotations

import os
import struct
import weakref
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from p3d.error import Error
from p3d.video.file_check import check_file

_MAGIC, _VERSION, _NONE = 0xBEEFC0DE, 1, 2**64 - 1
_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8
_BIG, _PLAIN = 1, 0  # a record's value is in pages of its own, or behind its key
_HEADER = struct.Struct("<QHHHH")  # number, pad, flags, lower and upper end of what is free
_NODE = struct.Struct("<HHHH")  # size, its upper half, flags, size of the key
_START = struct.Struct("<II16xI44x")  # magic, version, map; size of a page and the free pages' tree
_TREE = struct.Struct(
    "<IHHQQQQQ"
)  # pad, flags, depth; pages: branch, leaf, overflow; records, root
_END = struct.Struct("<8xQ")  # last page, transaction
_META_SIZE = _HEADER.size + _START.size + _TREE.size + _END.size


class Record(NamedTuple):
    """A key and its value."""

    key: bytes
    value: bytes


class _Meta(NamedTuple):
    """What a page at the start says."""

    page_size: int
    records: int
    root: int
    transaction: int


class LmdbFile:
    """The records of a database by their place in the order of the keys.

    `path` is the folder with `data.mdb`, or such a file. It may be written meanwhile by nobody.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
        check_file(self.path)
        self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)
        self._size = os.fstat(self._file).st_size
        self._page_size = 0
        root, records = self._root()
        self._leaves: list[int] = []
        self._first: list[int] = []  # the place of a leaf's first record
        self._count = 0
        for number, page in self._walk(root):
            self._leaves.append(number)
            self._first.append(self._count)
            self._count += _nodes(page)
        if self._count != records:
            raise self._damaged(f"it has {self._count} records, and should have {records}")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Record:
        """The record at a place from 0 to len - 1."""
        if not 0 <= place < self._count:
            raise IndexError(place)
        leaf = bisect_right(self._first, place) - 1
        page = self._page(self._leaves[leaf])
        size, flags, key, data = self._node(page, place - self._first[leaf])
        if flags == _BIG:
            (number,) = struct.unpack("<Q", self._cut(page, data, 8))
            return Record(key, self._value(number, size))
        if flags != _PLAIN:
            raise self._damaged("a key has several values, or a database in it")
        return Record(key, self._cut(page, data, size))

    def _root(self) -> tuple[int, int]:
        """The page at the root (_NONE: no records) and the number of records."""
        first = self._meta(0)
        if first is None:
            raise Error(f"{self.path}: is no LMDB database")
        second = self._meta(first.page_size)
        if second is None:
            raise self._damaged("it ends within its second page")
        meta = max(first, second, key=lambda meta: meta.transaction)
        self._page_size = meta.page_size
        return meta.root, meta.records

    def _meta(self, offset: int) -> _Meta | None:
        text = os.pread(self._file, _META_SIZE, offset)
        if len(text) < _META_SIZE:
            return None
        _, _, flags, _, _ = _HEADER.unpack_from(text)
        magic, version, page_size = _START.unpack_from(text, _HEADER.size)
        if not flags & _META or magic != _MAGIC:
            return None
        if version != _VERSION:
            raise Error(f"{self.path}: is an LMDB database of version {version}, not {_VERSION}")
        if not 256 <= page_size <= 65536:
            raise self._damaged(f"a page of {page_size} bytes")
        at = _HEADER.size + _START.size
        *_, records, root = _TREE.unpack_from(text, at)
        (transaction,) = _END.unpack_from(text, at + _TREE.size)
        return _Meta(page_size, records, root, transaction)

    def _walk(self, root: int) -> Iterator[tuple[int, bytes]]:
        """The leaves in order. No page is in the tree twice."""
        left = self._size // self._page_size
        todo = [] if root == _NONE else [root]
        while todo:
            number = todo.pop()
            left -= 1
            if left < 0:
                raise self._damaged("its pages lead in a circle")
            page = self._page(number)
            _, _, flags, _, _ = _HEADER.unpack_from(page)
            if flags & _LEAF:
                yield number, page
            elif flags & _BRANCH:
                todo += [self._child(page, i) for i in reversed(range(_nodes(page)))]
            else:
                raise self._damaged(f"page {number} is of no kind that can be here")

    def _child(self, page: bytes, index: int) -> int:
        size, flags, _, _ = self._node(page, index)
        return size | flags << 32

    def _node(self, page: bytes, index: int) -> tuple[int, int, bytes, int]:
        """Of a node: size of its value, flags, key and where in the page the value begins."""
        (at,) = struct.unpack("<H", self._cut(page, _HEADER.size + 2 * index, 2))
        low, high, flags, key_size = _NODE.unpack(self._cut(page, at, _NODE.size))
        at += _NODE.size
        return low | high << 16, flags, self._cut(page, at, key_size), at + key_size

    def _page(self, number: int) -> bytes:
        return self._read(number * self._page_size, self._page_size)

    def _value(self, number: int, size: int) -> bytes:
        """A value in pages of its own, which have one header."""
        at = number * self._page_size
        _, _, flags, _, _ = _HEADER.unpack(self._read(at, _HEADER.size))
        if not flags & _OVERFLOW:
            raise self._damaged(f"page {number} is not a value's")
        return self._read(at + _HEADER.size, size)

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:
            raise self._damaged(f"byte {offset + size} is needed of {self._size}")
        data = os.pread(self._file, size, offset)
        if len(data) < size:
            raise self._damaged("it became shorter")
        return data

    def _cut(self, page: bytes, offset: int, size: int) -> bytes:
        if offset + size > len(page):
            raise self._damaged("a record goes over the end of its page")
        return page[offset : offset + size]

    def _damaged(self, reason: str) -> Error:
        return Error(f"{self.path}: the database is damaged or cut off: {reason}")


def _nodes(page: bytes) -> int:
    """How many nodes a page of the tree has."""
    lower = _HEADER.unpack_from(page)[3]
    return max(0, lower - _HEADER.size) // 2
