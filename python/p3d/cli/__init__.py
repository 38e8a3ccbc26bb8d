"""The command ``p3d``: every verb is one module of this package.

To add a verb, write ``p3d/cli/<verb>.py`` with

* ``HELP``: the line that ``p3d --help`` shows,
* ``EXAMPLES`` (optional): the lines at the end of ``p3d <verb> --help``,
* ``add_arguments(parser)``: fills an ``argparse.ArgumentParser``,
* ``run(args) -> int | None``: does it; an int is the exit code,
* ``RUNS_NETS = True`` (optional) to have the options that say what runs nets, and how,
* ``SEVERAL_GPUS = True`` (optional) if ``run`` heeds a ``--device`` of several GPUs itself.

and import nothing above ``run`` but the standard library: ``p3d --help`` imports every verb.
Verbs report failures by raising: ``p3d.Error``, ``RuntimeError``, ``OSError`` and ``MemoryError``
become one line on stderr and exit code 1 (with ``P3D_DEBUG=1`` a traceback).
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

from p3d.cli._choices import add_choices, choose, options_last
from p3d.cli._guard import guarded
from p3d.cli._parser import Parser, two_dashes

_DESCRIPTION = """\
P3D ResNet: from video, prototxt and caffemodel to features, with nothing of Caffe installed.
"""
_EXAMPLES = """\
examples:
  p3d demo                                   makes its own videos and weights, runs everything once
  p3d extract some.mp4 --weights p3d_resnet_kinetics_iter_190000.caffemodel --out features
  p3d extract --help                         all about one verb

Long options work with one dash too, as in Caffe: -weights W is --weights W. Verbs that run nets
take --backend upstream (or P3D_BACKEND=upstream): nets then run on the `import caffe` of a real
Caffe with our layers; --device cuda:0: nets then run on a GPU (`p3d device_query` lists them); and
--precision bf16: nets then compute in 16 bits, in half the time where there are units for it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``p3d`` with these arguments (``sys.argv`` by default); returns the exit code."""
    arguments = options_last(list(sys.argv[1:] if argv is None else argv))
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "-help", "--help"):
        print(_overview(), end="")
        return 0 if arguments else 2
    if verb in ("-version", "--version"):
        from p3d import __version__

        print(f"p3d {__version__}")
        return 0
    if verb not in verbs():
        print(f"p3d: {_unknown(verb)}", file=sys.stderr)
        return 2
    return guarded(verb, lambda: _run(verb, arguments[1:]))


def verbs() -> list[str]:
    """The names of all verbs, in alphabetical order."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def _run(verb: str, arguments: list[str]) -> int:
    module = importlib.import_module(f"{__name__}.{verb}")
    parser = _parser_of(verb, module)
    args = parser.parse_args(two_dashes(parser, arguments))
    if getattr(module, "RUNS_NETS", False):
        choose(args, getattr(module, "SEVERAL_GPUS", False))
    return module.run(args) or 0


def _parser_of(verb: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"p3d {verb}",
        description=module.HELP,
        epilog=getattr(module, "EXAMPLES", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    if getattr(module, "RUNS_NETS", False):
        add_choices(parser)
    return parser


def _overview() -> str:
    names = verbs()
    width = max(map(len, names), default=0)
    lines = [f"usage: p3d {{{','.join(names)}}} ...", "", _DESCRIPTION, "verbs:"]
    for name in names:
        lines.append(f"  {name:{width}}  {importlib.import_module(f'{__name__}.{name}').HELP}")
    return "\n".join([*lines, "", _EXAMPLES])


def _unknown(verb: str) -> str:
    from p3d.wording import did_you_mean

    hint = did_you_mean(verb, verbs()) or f"; the verbs are {', '.join(verbs())}"
    return f"there is no verb '{verb}'{hint} (see p3d --help)"
