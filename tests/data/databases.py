"""LMDB databases as Caffe's tools make them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

lmdb = pytest.importorskip("lmdb")


def write(folder: Path, records: dict[bytes, bytes], without: Iterable[bytes] = ()) -> Path:
    """A database with these records, and in a second transaction without some of them."""
    with lmdb.open(str(folder), map_size=1 << 28) as database:
        with database.begin(write=True) as transaction:
            for key, value in records.items():
                transaction.put(key, value)
        if without:
            with database.begin(write=True) as transaction:
                for key in without:
                    transaction.delete(key)
    return folder
