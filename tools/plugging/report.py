"""What the tool says."""

from __future__ import annotations

import difflib
from typing import Iterator

from .draft import Draft
from .modernize import Edit
from .text import lines
from .transaction import Changes
from .tree import Tree

_NEXT = """\
Next, in the tree:
  make -j4 all test pycaffe           or, in a build folder:
  cmake .. && make -j4 all pycaffe    (cmake again: it has to see the new files)
and, for those who like proof:
  make runtest   (with arguments: build/test/test_all.testbin --gtest_filter='BN*:*3D*:Four*')"""


def diff(tree: Tree, changes: Changes, verbose: bool) -> Iterator[str]:
    """A unified diff. New files are listed, and shown if `verbose`."""
    if not changes:
        yield "Nothing to do."
    new = [name for name in changes if tree.read(name) is None]
    for name, data in changes.items():
        if verbose or name not in new:
            yield from _diff_of(name, tree.read(name), data)
    if new and not verbose:
        yield f"New files ({len(new)}; --verbose shows them):"
        for name in new:
            yield f"  {name} ({len(lines(_text(changes[name])))} lines)"


def _diff_of(name: str, old: bytes | None, new: bytes | None) -> Iterator[str]:
    for line in difflib.unified_diff(
        lines(_text(old)),
        lines(_text(new)),
        "/dev/null" if old is None else f"a/{name}",
        "/dev/null" if new is None else f"b/{name}",
    ):
        yield line.rstrip("\r\n")


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")


def done(draft: Draft, changes: Changes) -> Iterator[str]:
    """What was changed, and what to do next."""
    if not changes:
        yield "Nothing to do: the tree has everything already."
    for name, data in changes.items():
        yield f"  {'removed' if data is None else 'wrote'} {name}"
    for note in draft.notes:
        yield f"note: {note}."
    if changes:
        yield _NEXT


def edits(table: list[Edit]) -> Iterator[str]:
    """The list of repairs."""
    for edit in table:
        yield edit.id
        yield f"  needed by  {edit.needed_by}"
        yield f"  because    {edit.reason}"
        yield f"  tested     {edit.tested}"
        yield f"  changes    {', '.join(edit.changes)}"
