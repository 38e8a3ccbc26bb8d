"""Log lines in the form of Caffe's, by which scripts such as its own parse_log.py tell the time.

I1128 06:17:07.607518  9383 solver.py:218] Iteration 20 (5.1 iter/s, 3.9s/20 iters), loss = 0.69
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Formatter(logging.Formatter):
    """The first letter of the level, date, time to the microsecond, process, place, message."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        micro = int(record.created % 1 * 1e6)
        place = f"{record.process:5d} {record.filename}:{record.lineno}"
        return f"{record.levelname[0]}{moment}.{micro:06d} {place}] {record.getMessage()}"


class _AboveBar(logging.Handler):
    """Writes to standard error, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        import sys

        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def shown() -> Iterator[None]:
    """Inside, the package's log goes to standard error in this form."""
    logger = logging.getLogger("p3d")
    handler, level = _AboveBar(), logger.level
    handler.setFormatter(Formatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
