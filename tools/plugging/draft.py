"""A tree as it is going to be, before anything is written."""

from __future__ import annotations

from .files import is_ours
from .journal import Journal, hash_of
from .text import Change, edit, plain
from .tree import Tree


class Draft:
    """Reads through to the tree; keeps what is changed."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.notes: list[str] = []
        self.copies: set[str] = set()  # files that are ours as a whole
        self._journal = Journal(tree)
        self._new: dict[str, bytes | None] = {}

    def read(self, name: str) -> bytes | None:
        return self._new[name] if name in self._new else self.tree.read(name)

    def text(self, name: str) -> str:
        return plain(self.read(name) or b"")

    def is_ours(self, name: str) -> bool:
        """Whether this tool wrote a file as a whole, whatever a person made of it since."""
        entry = self._journal.files.get(name)
        if entry is not None and entry.after is not None and name not in self._new:
            edited = entry.before and not is_ours(plain(self._journal.load(entry.after)))
            return not edited and hash_of(self.tree.path(name)) != entry.before
        return is_ours(self.text(name))

    def edit(self, name: str, change: Change) -> None:
        """Changes a file's text; a file that is not there stays so."""
        old = self.read(name)
        new = None if old is None else edit(old, change)
        if new != old:
            self._new[name] = new

    def put(self, name: str, data: bytes) -> None:
        self._new[name] = data
        self.copies.add(name)

    def remove(self, name: str) -> None:
        self._new[name] = None

    def changes(self) -> dict[str, bytes | None]:
        """The files that differ from the tree's, in order; None for those to be removed."""
        return {
            name: data for name, data in sorted(self._new.items()) if data != self.tree.read(name)
        }
