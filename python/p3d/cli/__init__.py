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
import contextlib
import difflib
import importlib
import io
import itertools
import logging
import os
import pkgutil
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, NoReturn

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
    arguments = _options_last(list(sys.argv[1:] if argv is None else argv))
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
    return _guarded(verb, lambda: _run(verb, arguments[1:]))


def verbs() -> list[str]:
    """The names of all verbs, in alphabetical order."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def _run(verb: str, arguments: list[str]) -> int:
    module = importlib.import_module(f"{__name__}.{verb}")
    parser = _parser(verb, module)
    args = parser.parse_args(_two_dashes(parser, arguments))
    if getattr(module, "RUNS_NETS", False):
        _choose(args, getattr(module, "SEVERAL_GPUS", False))
    return module.run(args) or 0


def _choose(args: argparse.Namespace, several_gpus: bool) -> None:
    """What runs nets, and how, as the options say."""
    if args.backend is not None:
        from p3d.caffe import backend

        backend.choose(args.backend)
    if args.device is not None:
        _use(args.device, several_gpus)
    if (args.device or os.environ.get("P3D_DEVICE") or "cpu") == "cpu":
        _check_on_processor(args)
    if args.precision is not None:
        from p3d.caffe import backend

        backend.set_precision(args.precision)
        os.environ["P3D_PRECISION"] = args.precision  # for processes that this one starts


def _use(device: str, may_be_several: bool) -> None:
    from p3d import gpu
    from p3d.caffe import backend

    if may_be_several:
        found = gpu.several(device)
        if len(found) > 1:
            return
        device = f"cuda:{found[0]}" if found else device
    backend.set_device(device)
    os.environ["P3D_DEVICE"] = device  # for processes that this one starts


def _check_on_processor(args: argparse.Namespace) -> None:
    """The precision that is asked for, where nets run on the processor."""
    if not (said := args.precision or os.environ.get("P3D_PRECISION")):
        return
    from p3d import _core, gpu
    from p3d.error import Error

    if args.precision in ("tf32", "fp16"):
        raise Error(
            f"--precision {args.precision} is for a GPU, the processor computes in float32 or "
            "bf16: name the GPU with --device cuda"
        )
    if said in ("tf32", "fp16"):
        warnings.warn(
            f"P3D_PRECISION={said} is for a GPU, the processor computes in float32", stacklevel=1
        )
    isa = getattr(args, "isa", None) or _core.isa()
    if said == "bf16" and not gpu.processor_has_bf16(isa):
        warnings.warn(
            f"{isa} has no products of bfloat16 here, they are computed of floats: that takes "
            "longer than float32",
            stacklevel=1,
        )


def _options_last(arguments: list[str]) -> list[str]:
    """``p3d --backend B verb ...`` is ``p3d verb --backend B ...``, and so on."""
    leading: list[str] = []
    every = r"--?(backend|device|precision)(=.*)?"
    while arguments and (match := re.fullmatch(every, arguments[0])):
        count = 1 if match[2] else 2
        leading += arguments[:count]
        arguments = arguments[count:]
    return [*arguments[:1], *leading, *arguments[1:]]


class _Parser(argparse.ArgumentParser):
    """Its errors are one line, which names the options that misspelt ones may be."""

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> Any:  # type: ignore[override]
        self._words = args
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        line = "; ".join([message, *self._hints()])
        self.exit(2, f"{self.prog}: {line} (see {self.prog} --help)\n")

    def _hints(self) -> Iterator[str]:
        known = self._option_string_actions
        names = {option[2:]: option for option in known if option.startswith("--")}
        for word in itertools.takewhile("--".__ne__, self._words):
            option = word.partition("=")[0]
            if option.startswith("-") and option not in known:
                for close in difflib.get_close_matches(option.lstrip("-"), names, n=1):
                    yield f"did you mean {names[close]} by {option}?"


def _parser(verb: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"p3d {verb}",
        description=module.HELP,
        epilog=getattr(module, "EXAMPLES", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    if getattr(module, "RUNS_NETS", False):
        _add_choices(parser)
    return parser


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", choices=("embedded", "upstream"), help="what runs nets (default: embedded)"
    )
    parser.add_argument(
        "--device", metavar="D", help="where nets run: cpu (default), cuda or cuda:N, the N-th GPU"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32", "bf16", "fp16"),
        help="how nets compute (default: float32; the processor has bf16 too)",
    )


def _two_dashes(parser: argparse.ArgumentParser, arguments: list[str]) -> list[str]:
    """Writes ``-weights W`` and ``-batch_size=4`` as ``--weights W`` and ``--batch-size=4``."""
    known = set(parser._option_string_actions)
    result: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return result + arguments[position:]
        flag, equals, value = argument.partition("=")
        match = re.fullmatch(r"--?([A-Za-z][\w-]+)", flag)
        long = "--" + match[1].replace("_", "-") if match else ""
        result.append(long + equals + value if flag not in known and long in known else argument)
    return result


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


def _guarded(verb: str, action: Callable[[], int]) -> int:
    """Runs `action`; what goes wrong becomes one line on stderr and an exit code."""
    debug = os.environ.get("P3D_DEBUG", "0") not in ("", "0")
    if not debug:  # OpenCV's and FFmpeg's own lines about broken files would bury ours
        os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    _open_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no text at all
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _warnings_in_lines(debug):
            code = action()
        sys.stdout.flush()
        return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        print(f"\np3d {verb}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `p3d info X | head`: nobody reads on, nothing to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except (RuntimeError, OSError, MemoryError, ImportError) as error:
        if debug:
            raise
        print(f"p3d {verb}: {_in_a_line(error)}", file=sys.stderr)
        return 1


def _in_a_line(error: Exception) -> str:
    text = str(error)
    if isinstance(error, OSError) and isinstance(error.filename, str) and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    nameless = "out of memory" if isinstance(error, MemoryError) else type(error).__name__
    return " ".join(text.splitlines()) or nameless


def _open_standard_streams() -> None:
    """Services close them: what is opened next would get their numbers, and libraries' lines."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    sys.stdout = sys.stdout or os.fdopen(os.dup(descriptor), "w")
    sys.stderr = sys.stderr or os.fdopen(os.dup(descriptor), "w")
    os.close(descriptor)


@contextlib.contextmanager
def _warnings_in_lines(debug: bool) -> Iterator[None]:
    """Inside, warnings are lines on stderr, and so is a log that nobody set up."""
    bare = logging.lastResort
    with warnings.catch_warnings():
        if not debug:
            warnings.showwarning = show_warning
        logging.lastResort = _LogLine(logging.WARNING)
        try:
            yield
        finally:
            logging.lastResort = bare


class _LogLine(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        kind, text = record.levelname.lower(), record.getMessage()
        print(f"p3d: {kind}: {' '.join(text.splitlines())}", file=sys.stderr)


def show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"p3d: warning: {' '.join(str(message).splitlines())}", file=file or sys.stderr)
