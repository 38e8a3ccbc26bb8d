#!/usr/bin/env python3
"""Compile P3D's layers into a Caffe tree.

    python tools/plug_into_caffe.py ~/caffe --dry-run      what would change
    python tools/plug_into_caffe.py ~/caffe --check        what this machine lacks to build it
    python tools/plug_into_caffe.py ~/caffe                BN, Pooling3D and Convolution3D go in
    python tools/plug_into_caffe.py ~/caffe --modernize    the same, and repairs for new toolchains
    python tools/plug_into_caffe.py ~/caffe --undo         everything as it was, byte for byte

Afterwards build as usual, pycaffe too. The tree is a Caffe of 2016 or later: 1.0, BVLC's master
or a fork:

* The layers are copied to include/caffe and src/caffe, their kernels to include/caffe/p3d and
  src/caffe/p3d, their tests to src/caffe/test. The Makefile and CMake find them by themselves.
* caffe.proto gets BNParameter and Pooling3DParameter, and bn_param = 8210 and pooling3d_param =
  8211. A fork that has them already keeps its numbers, if they mean the same.
* layer_factory.cpp gives every convolution with three spatial axes to Convolution3D, and in a Caffe
  with cuDNN ReLU, Sigmoid and TanH take blobs of any number of axes.
* Where the Makefile or CMake asks for C++11 it asks for C++14, which the kernels are.
* The layers that were published with P3D give way to these. Another BN or Pooling3D does so if
  --replace says so. C3D's Convolution3D stays.

Line ends, encodings and file modes stay as they are. All changes happen or none; what is needed to
undo them is kept in .caffe-p3d inside the tree. Running again brings an older plug-in up to date.
Exit codes: 0 all well, 1 refused or something would fail (the message says what to do), 2 usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Iterable

from plugging import report
from plugging.draft import Draft
from plugging.journal import Journal, hash_of
from plugging.modernize import EDITS
from plugging.plug import plug
from plugging.refusal import Refusal
from plugging.rivals import LAYERS
from plugging.transaction import apply, recover, undo
from plugging.tree import Tree, open_tree


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    if args.list_edits:
        print("\n".join(report.edits(EDITS)))
        return 0
    try:
        return _run(args)
    except Refusal as refusal:
        print(f"plug_into_caffe: {refusal}", file=sys.stderr)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"plug_into_caffe: {error}. Nothing was changed.", file=sys.stderr)
    return 1


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", nargs="?", metavar="TREE", help="top folder of a Caffe source tree")
    parser.add_argument("--dry-run", action="store_true", help="print a diff, change nothing")
    parser.add_argument("--verbose", action="store_true", help="the diff shows new files too")
    parser.add_argument("--check", action="store_true", help="the toolchain: faults and cures")
    parser.add_argument("--undo", action="store_true", help="restore the tree")
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite files of this plug-in that you changed; with --undo keep yours as "
        "<name>.changed",
    )
    parser.add_argument(
        "--replace",
        action="append",
        default=[],
        choices=[layer.type for layer in LAYERS],
        help="take this layer type from another layer of the tree",
    )
    parser.add_argument("--modernize", action="store_true", help="repair the tree for toolchains")
    parser.add_argument("--modernize-only", action="store_true", help="that without the layers")
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        choices=[edit.id for edit in EDITS],
        metavar="ID",
        help="a repair to leave out",
    )
    parser.add_argument("--list-edits", action="store_true", help="the repairs and their reasons")
    args = parser.parse_args(argv)
    if args.tree is None and not args.list_edits:
        parser.error("which TREE? Give the top folder of a Caffe source tree")
    if args.undo and (args.modernize or args.modernize_only or args.replace or args.dry_run):
        parser.error("--undo takes everything back and goes with --force alone")
    return args


def _run(args: argparse.Namespace) -> int:
    tree = open_tree(args.tree, strict=False)
    if args.undo:
        return _undo(tree, args.force)
    if args.check:
        from plugging.toolchain import check

        return check(tree)
    if args.dry_run and Journal(tree).pending:
        raise Refusal("An earlier run was interrupted. Run without --dry-run to take it back.")
    if not args.dry_run and recover(tree):
        print("An earlier run was interrupted; what it had begun was taken back.")
    draft = _draft(open_tree(args.tree), args)
    changes = draft.changes()
    if not args.force:
        _check_changed(draft, changes)
    if args.dry_run:
        print("\n".join(report.diff(tree, changes, args.verbose)))
        return 0
    apply(tree, changes)
    print("\n".join(report.done(draft, changes)))
    return 0


def _draft(tree: Tree, args: argparse.Namespace) -> Draft:
    draft = Draft(tree)
    if args.modernize or args.modernize_only:
        for edit in EDITS:
            if edit.id not in args.skip:
                for name, change in edit.changes_in(tree):
                    draft.edit(name, change)
    if not args.modernize_only:
        plug(draft, args.replace)
    return draft


def _undo(tree: Tree, force: bool) -> int:
    interrupted = recover(tree)
    if not Journal(tree).exists:
        if interrupted:
            print("An interrupted run was taken back; there was nothing else to undo.")
            return 0
        raise Refusal(
            f"Nothing to undo: {tree.root} has no .caffe-p3d folder. If the tree was cloned after "
            "it was plugged into, its history has the files of before."
        )
    notes = undo(tree, force)
    print("\n".join(["The tree is as it was. Rebuild it.", *notes]))
    return 0


def _check_changed(draft: Draft, changes: Iterable[str]) -> None:
    """Raises Refusal where copies of ours that a person edited would be overwritten."""
    files = Journal(draft.tree).files
    changed = [
        name
        for name in changes
        if name in draft.copies
        and name in files
        and hash_of(draft.tree.path(name)) not in (files[name].before, files[name].after, None)
    ]
    if changed:
        raise Refusal(
            f"Changed since they were copied: {', '.join(changed)}. Make the change in this "
            "repository's layers folder, or use --force, which overwrites them."
        )


if __name__ == "__main__":
    sys.exit(main())
