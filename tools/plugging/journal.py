"""What was done to a tree, kept in the tree, so that it can be undone.

The folder .caffe-p3d holds state.json and objects/, the contents of files under their SHA-256.
state.json says for each changed file what it was before (hash and mode, or null if it was not
there) and what it became (hash, or null). Changes under way are in it under "pending", before the
first of them is made: a journal that is written ahead. Rewriting state.json without "pending" is
what completes them. So a run that is killed leaves one of

* no state.json: nothing was changed, the folder is rubbish
* state.json with "pending": some of these changes were made; `recover` takes them back
* state.json without: all were made
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from . import disk
from .refusal import Refusal
from .tree import Tree

FOLDER = ".caffe-p3d"
_FORMAT = 1


class Entry(NamedTuple):
    """One file's past and present."""

    before: str | None  # hashes; None: no file
    mode: int  # before
    after: str | None


class Journal:
    """The journal of one tree. Making one writes nothing."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.folder = tree.root / FOLDER
        self.files: dict[str, Entry] = {}
        self.pending: dict[str, Entry] = {}
        self.made: list[str] = []  # folders that were not there before, outer ones first
        self.exists = (self.folder / "state.json").is_file()
        if self.exists:
            self._load()

    def _load(self) -> None:
        try:
            state: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
            if state["format"] != _FORMAT:
                raise Refusal(
                    f"{self.folder} was written by another version of this tool (format "
                    f"{state['format']}); undo with that one first."
                )
            self.files = {name: Entry(*entry) for name, entry in state["files"].items()}
            self.pending = {name: Entry(*entry) for name, entry in state["pending"].items()}
            self.made = list(state["made"])
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(
                f"{self.folder / 'state.json'} is damaged ({error}). The files' old contents are "
                f"in {self.folder / 'objects'}; take the tree back with git, then remove {FOLDER}."
            ) from None

    def save(self) -> None:
        state = {
            "format": _FORMAT,
            "files": self.files,
            "pending": self.pending,
            "made": self.made,
        }
        disk.write(self.folder / "state.json", json.dumps(state, indent=1).encode())
        self.exists = True

    def store(self, data: bytes) -> str:
        """Keeps contents; returns their hash."""
        name = digest(data)
        path = self.folder / "objects" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            disk.write(path, data)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                disk.write(ignore, b"*\n")
        return name

    def load(self, name: str) -> bytes:
        """Contents by hash. Raises Refusal if they were damaged."""
        path = self.folder / "objects" / name
        data = path.read_bytes() if path.is_file() else b""
        if digest(data) != name:
            raise Refusal(f"{path} is damaged: the tree cannot be restored from it. Use git.")
        return data

    def restore(self, name: str, entry: Entry) -> None:
        """A file as it was before."""
        path = self.tree.path(name)
        if entry.before is None:
            disk.remove(path)
        else:
            disk.write(path, self.load(entry.before), entry.mode)

    def prune(self) -> None:
        """Forgets contents that no file's past or present refers to."""
        kept = {h for e in self.files.values() for h in (e.before, e.after)}
        objects = self.folder / "objects"
        for path in sorted(objects.iterdir()) if objects.is_dir() else []:
            if path.name not in kept:
                disk.remove(path)

    def close(self) -> None:
        """Removes the folders that were made and, if nothing is left to undo, the journal."""
        if self.files:
            return
        for name in reversed(self.made):
            with contextlib.suppress(OSError):  # not empty: a person keeps something there
                os.rmdir(str(self.tree.root / name))
        disk.remove(self.folder / "state.json")
        shutil.rmtree(str(self.folder), ignore_errors=True)
        self.exists = False


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def hash_of(path: Path) -> str | None:
    """A file's hash, None if there is none."""
    return digest(path.read_bytes()) if path.is_file() else None
