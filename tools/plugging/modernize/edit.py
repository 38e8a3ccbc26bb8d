"""What an edit is."""

from __future__ import annotations

from typing import Iterator, NamedTuple

from ..text import Change
from ..tree import Tree


class Edit(NamedTuple):
    """One repair of an old Caffe tree.

    Changes leave a text alone that does not need them or that they do not know, so that an edit
    can be made twice and on every fork.
    """

    id: str
    needed_by: str  # the versions that do not accept the old text
    reason: str
    tested: str  # with what; the rest is untested
    changes: dict[str, Change]  # by path in the tree; "src/" are all sources below it

    def changes_in(self, tree: Tree) -> Iterator[tuple[str, Change]]:
        """The changes of this tree's files."""
        for name, change in self.changes.items():
            for file in tree.sources(name) if name.endswith("/") else [name]:
                yield file, change
