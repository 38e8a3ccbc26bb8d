"""Changing many files of a tree so that all of it happens, or nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from types import MappingProxyType
from typing import Dict, Mapping, Optional, Sequence

from . import disk
from .journal import Entry, Journal, digest, hash_of
from .merge3 import merge3
from .refusal import Refusal
from .tree import Tree

Changes = Dict[str, Optional[bytes]]  # new contents by path, None to remove


def check_writable(tree: Tree, changes: Changes) -> None:
    """Raises Refusal for the first file that could not be written."""
    if changes:
        _check_folder(tree.root)
    for name in changes:
        path = tree.path(name)
        if path.exists():
            if not path.is_file():
                raise Refusal(f"{path} is in the way: it is no file.")
            if not os.stat(str(path)).st_mode & 0o222 or not os.access(str(path), os.W_OK):
                raise Refusal(f"{path} is read-only. `chmod u+w` it (or check it out) first.")
        folder = path.parent
        while not folder.exists():
            folder = folder.parent
        _check_folder(folder)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise Refusal(f"{folder} is in the way: it is no folder.")
    if not os.stat(str(folder)).st_mode & 0o222 or not os.access(str(folder), os.W_OK):
        raise Refusal(
            f"No permission to write in {folder}. Run as its owner, or use a copy of the tree."
        )


def apply(tree: Tree, changes: Changes) -> None:
    """Makes the changes and remembers them in the tree's journal.

    Raises Refusal if one fails, after taking the others back.
    """
    if not changes:
        return
    check_writable(tree, changes)
    journal = Journal(tree)
    _rebase(journal)
    made = _folders(tree, changes)
    journal.made += [name for name in made if name not in journal.made]
    _perform(journal, changes, made=made)


def _perform(
    journal: Journal,
    changes: Changes,
    *,
    made: Sequence[str] = (),
    modes: Mapping[str, int] = MappingProxyType({}),
    forget: bool = False,
) -> None:
    """Writes ahead what is going to be done, does it, then says in the journal that it is done.

    made    folders to be made
    modes   of files, where they are not to keep the one that they have
    forget  there will be nothing to undo
    """
    tree = journal.tree
    try:
        journal.pending = {name: _begin(journal, name, data) for name, data in changes.items()}
        journal.save()
        for name in made:
            (tree.root / name).mkdir(exist_ok=True)
        for name, data in changes.items():
            if data is None:
                disk.remove(tree.path(name))
            else:
                mode = modes.get(name) or journal.pending[name].mode
                disk.write(tree.path(name), data, mode or None)
        journal.files = {} if forget else _files_after(journal)
        journal.pending = {}
        journal.save()
    except (OSError, KeyboardInterrupt) as error:
        recover(tree)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise Refusal(f"{error}. The tree is as it was.") from error
    with contextlib.suppress(OSError):  # what is left over is removed by the next run
        journal.prune()
        journal.close()


def _begin(journal: Journal, name: str, data: bytes | None) -> Entry:
    path = journal.tree.path(name)
    before, mode = None, 0
    if path.is_file():
        before = journal.store(path.read_bytes())
        mode = os.stat(str(path)).st_mode & 0o7777
    if before is not None and data is not None:
        journal.store(data)  # to tell a person's later edits from ours
    return Entry(before, mode, None if data is None else digest(data))


def _folders(tree: Tree, changes: Changes) -> list[str]:
    found = set()
    for name, data in changes.items():
        if data is not None:
            for folder in list(Path(name).parents)[:-1]:
                if not (tree.root / folder).exists():
                    found.add(folder.as_posix())
    return sorted(found)


def _files_after(journal: Journal) -> dict[str, Entry]:
    files = dict(journal.files)
    for name, entry in journal.pending.items():
        first = files.get(name, entry)
        files[name] = Entry(first.before, first.mode, entry.after)
        if first.before == entry.after:
            del files[name]
    return files


def _rebase(journal: Journal) -> None:
    """Moves what a person changed since the last run into what is restored by undoing."""
    for name, entry in list(journal.files.items()):
        path = journal.tree.path(name)
        if entry.before and entry.after and hash_of(path) not in (entry.before, entry.after, None):
            restored = _without_ours(journal, name, entry)
            if restored is None:
                raise Refusal(f"{path} was changed since, in the very lines that this tool wrote.")
            present = journal.store(path.read_bytes())
            journal.files[name] = Entry(journal.store(restored), entry.mode, present)


def _without_ours(journal: Journal, name: str, entry: Entry) -> bytes | None:
    """A file with a person's changes but not with ours; None where they cannot be told apart."""
    if entry.before is None or entry.after is None:
        return None
    present = journal.tree.path(name).read_bytes()
    return merge3(journal.load(entry.after), journal.load(entry.before), present)


def recover(tree: Tree) -> bool:
    """Takes back what a run that was killed had begun. True if there was such a thing.

    Raises Refusal for files that a person changed in between; nothing is changed then.
    """
    journal = Journal(tree)
    if not journal.exists:
        begun = journal.folder.exists()
        shutil.rmtree(str(journal.folder), ignore_errors=True)
        return begun
    begun = bool(journal.pending)
    for name, entry in journal.pending.items():
        path = tree.path(name)
        if hash_of(path) not in (entry.before, entry.after):
            raise Refusal(
                f"An earlier run was interrupted, and {path} was changed since. Its old contents "
                f"are in {journal.folder / 'objects' / str(entry.before)}: put them or the new "
                "ones back, then run again."
            )
    for name, entry in journal.pending.items():
        path = tree.path(name)
        disk.remove(disk.temporary_of(path))
        if hash_of(path) != entry.before:
            journal.restore(name, entry)
    if begun:
        journal.pending = {}
        journal.save()
        journal.prune()
    journal.close()
    return begun


def undo(tree: Tree, force: bool = False) -> list[str]:
    """Restores the tree. Returns a line for each file that is not as it was at first.

    A person's later changes of files that this tool edited are kept. Where they cannot be told from
    ours, or are in files of ours, Refusal is raised; with `force` such a file is renamed to
    <name>.changed and its first contents come back.
    """
    journal = Journal(tree)
    changes: Changes = {}
    notes: list[str] = []
    lost: list[str] = []
    for name, entry in journal.files.items():
        present = hash_of(tree.path(name))
        if present == entry.before:
            continue
        changes[name] = None if entry.before is None else journal.load(entry.before)
        if present in (entry.after, None):
            continue
        merged = _without_ours(journal, name, entry)
        if merged is None:
            lost.append(name)
        else:
            changes[name] = merged
            notes.append(f"{name}: your later changes were kept")
    if lost and not force:
        raise Refusal(
            f"Changed since they were plugged in: {', '.join(lost)}. Undoing would lose that. Save "
            "what you need, or use --undo --force, which keeps them as <name>.changed."
        )
    for name in lost:
        changes[f"{name}.changed"] = tree.path(name).read_bytes()
        notes.append(f"{name}.changed: what you had made of {name}")
    check_writable(tree, changes)
    modes = {name: entry.mode for name, entry in journal.files.items()}
    _perform(journal, changes, modes=modes, forget=True)
    return notes
