"""Where processes of one machine find each other, and learn that one of them has ended.

Each has a file in a folder that is called like the meeting, and locks it for as long as it lives:
the system takes the lock away however the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from p3d.error import Error

PATIENCE = 600.0  # seconds, until all have to be there
FORGOTTEN = 3600.0  # seconds, after which nobody waits there any more
_PREFIX = "p3d-ranks-"


class Member(NamedTuple):
    """A process: its rank, how many ranks it knows of, its GPU, which of them it can see, and what
    it has come for."""

    rank: int
    ranks: int
    device: int
    visible: str
    process: int
    purpose: str

    def __str__(self) -> str:
        return f"rank {self.rank} (GPU {self.device}, process {self.process})"


class Meeting:
    """Waits until all ranks have come, each of which makes a Meeting of the same name, for the same
    `purpose`: a text that is compared.

    Raises Error when one does not come, ends before all are there, or contradicts another; and
    what `check` raises, which is called while it waits.
    """

    def __init__(
        self,
        name: bytes,
        rank: int,
        count: int,
        device: int,
        purpose: str,
        check: Callable[[], None],
    ) -> None:
        if not 0 <= rank < count:
            raise Error(f"rank {rank} of {count}: ranks count from 0; see set_solver_rank")
        base = Path(tempfile.gettempdir())
        _sweep(base)
        self._folder = base / f"{_PREFIX}{hashlib.sha256(name).hexdigest()[:24]}"
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self._own = Member(rank, count, device, visible, os.getpid(), purpose)
        self._others: dict[int, tuple[Member, int]] = {}  # by rank, with a descriptor of its file
        self._file = self._come()
        try:
            self._wait(time.monotonic() + PATIENCE, check)
            self._check()
        except BaseException:
            self.leave()
            raise

    def close_door(self) -> None:
        """Removes the folder; to be called by one rank when nobody waits any more."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def ended(self) -> Member | None:
        """One that has left or died, if there is any."""
        for member, file in self._others.values():
            with contextlib.suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return member
        return None

    def leave(self) -> None:
        """To the others this process has ended."""
        files = [file for _, file in self._others.values()]
        self._others.clear()
        for file in (*files, *([] if self._file < 0 else [self._file])):
            os.close(file)
        self._file = -1

    def _come(self) -> int:
        """The file is there at once with its content and locked."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        place = self._folder / str(self._own.rank)
        temporary = self._folder / f".{self._own.rank}.{self._own.process}"
        file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.lockf(file, fcntl.LOCK_EX)
        os.write(file, json.dumps(self._own).encode())
        try:
            os.link(temporary, place)
        except FileExistsError:
            os.close(file)
            raise Error(
                f"there are two ranks {self._own.rank}; give each process one of its own with "
                "set_solver_rank"
            ) from None
        finally:
            temporary.unlink()
        return file

    def _wait(self, until: float, check: Callable[[], None]) -> None:
        while missing := set(range(self._own.ranks)) - {self._own.rank} - self._others.keys():
            for rank in missing:
                self._meet(rank)
            if (gone := self.ended()) is not None:
                time.sleep(1)  # until it is no process any more
                check()
                raise Error(f"{gone} has ended before all ranks were there; see its message")
            if time.monotonic() > until:
                missed = ", ".join(map(str, sorted(missing)))
                raise Error(
                    f"rank {missed} of {self._own.ranks} has not come; start as many processes as "
                    "set_solver_count says"
                )
            check()
            time.sleep(0.01)

    def _meet(self, rank: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            file = os.open(self._folder / str(rank), os.O_RDONLY)
            self._others[rank] = (Member(*json.loads(os.pread(file, 1 << 16, 0))), file)

    def _check(self) -> None:
        places = {(self._own.device, self._own.visible): self._own}
        for member, _ in self._others.values():
            if member.ranks != self._own.ranks:
                raise Error(
                    f"{member} is one of {member.ranks}, {self._own} one of {self._own.ranks}: "
                    "set_solver_count differs"
                )
            if member.purpose != self._own.purpose:
                raise Error(
                    f"{member} has another net or solver than {self._own}: give every rank the "
                    "same prototxts"
                )
            other = places.setdefault((member.device, member.visible), member)
            if other is not member:
                raise Error(f"{other} and {member} have the same GPU: set_device another")


def _sweep(base: Path) -> None:
    """Removes what meetings left whose processes were killed."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's
            if time.time() - folder.stat().st_mtime > FORGOTTEN:
                shutil.rmtree(folder)
