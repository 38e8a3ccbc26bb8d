"""LMDB databases read without the library, against those that the library wrote."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from data.databases import lmdb, write

from p3d import Error
from p3d.data.lmdb_file import LmdbFile

SIZES = {
    "none": (0, [1]),
    "one": (1, [0]),
    "some": (3, [7, 3000]),
    "about half a page": (60, range(1990, 2050)),
    "a tree of three levels": (60000, [8]),
    "values in pages of their own": (40, [1, 4079, 4080, 4081, 4096, 70000]),
}


def records(count: int, sizes: list[int]) -> dict[bytes, bytes]:
    chance = random.Random(count)
    return {b"%08d" % i: chance.randbytes(sizes[i % len(sizes)]) for i in range(count)}


@pytest.mark.parametrize("case", SIZES)
def test_records_in_order_of_their_keys(tmp_path: Path, case: str) -> None:
    wanted = records(*SIZES[case])
    shuffled = random.Random(3).sample(sorted(wanted.items()), len(wanted))
    found = LmdbFile(str(write(tmp_path / "db", dict(shuffled))))
    assert len(found) == len(wanted)
    assert [found[place] for place in range(len(found))] == sorted(wanted.items())
    for place in (-1, len(wanted)):
        with pytest.raises(IndexError):
            found[place]


@pytest.mark.parametrize("case", SIZES)
def test_what_was_deleted_is_not_there(tmp_path: Path, case: str) -> None:
    wanted = records(*SIZES[case])
    gone = set(sorted(wanted)[::3])
    found = LmdbFile(str(write(tmp_path / "db", wanted, without=gone)))
    left = [record for record in sorted(wanted.items()) if record[0] not in gone]
    assert [found[place] for place in range(len(found))] == left


def test_a_file_without_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "db", {b"a": b"1"})
    assert LmdbFile(str(tmp_path / "db" / "data.mdb"))[0] == (b"a", b"1")


def test_several_databases_in_one(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), map_size=1 << 20, max_dbs=1) as database:
        database.open_db(b"inner")
    with pytest.raises(Error, match=r"data\.mdb.*a database in it"):
        LmdbFile(str(tmp_path))[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "the file is empty"),
        (b"x" * 100, "is no LMDB database"),
        (b"x" * 9000, "is no LMDB database"),
        (struct.pack("<QHHHHII", 0, 0, 8, 0, 0, 0xBEEFC0DE, 2) + bytes(128),
         "of version 2"),
    ],
)  # fmt: skip
def test_what_is_none(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "data.mdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Error, match=f"data.mdb: .*{message}"):
        LmdbFile(str(path))


def read_all(path: Path) -> int:
    found = LmdbFile(str(path))
    return sum(len(found[place].value) for place in range(len(found)))


def test_cut_off_anywhere(tmp_path: Path) -> None:
    whole = (write(tmp_path / "db", records(60, [10, 3000, 9000])) / "data.mdb").read_bytes()
    path = tmp_path / "cut.mdb"
    for size in range(1, len(whole) - 4096, 997):
        path.write_bytes(whole[:size])
        with pytest.raises(Error, match=r"cut\.mdb"):
            read_all(path)


@pytest.mark.parametrize("seed", range(8))
def test_damaged(tmp_path: Path, seed: int) -> None:
    """An Error or other values, and neither a crash nor a circle."""
    whole = (
        write(tmp_path / "db", records(2000, [1, 40, 5000][seed % 3 :])) / "data.mdb"
    ).read_bytes()
    chance, path, refused = random.Random(seed), tmp_path / "damaged.mdb", 0
    pages = [at for at in range(0, len(whole), 4096) if whole[at + 10] & 11]  # not of values
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 3, 30])):
            page = chance.choice([chance.choice(pages), 4096 * chance.randrange(2)])
            damaged[page + chance.randrange(160)] = chance.choice(
                [0, 1, 255, chance.randrange(256)]
            )
        path.write_bytes(damaged)
        try:
            read_all(path)
        except Error:
            refused += 1
    assert refused, f"seed {seed}"


def test_a_circle(tmp_path: Path) -> None:
    path = write(tmp_path / "db", records(60000, [8])) / "data.mdb"
    whole = bytearray(path.read_bytes())
    branch = next(at for at in range(8192, len(whole), 4096) if whole[at + 10] & 1)
    (node,) = struct.unpack_from("<H", whole, branch + 16)
    struct.pack_into("<HHH", whole, branch + node, branch // 4096, 0, 0)
    path.write_bytes(whole)
    with pytest.raises(Error, match="circle"):
        LmdbFile(str(path))
