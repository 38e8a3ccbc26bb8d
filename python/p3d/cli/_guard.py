"""How verbs end: what goes wrong, and what is warned of, becomes lines on stderr."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator


def guarded(verb: str, action: Callable[[], int]) -> int:
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
