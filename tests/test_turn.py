"""Locks that forks wait for."""

from __future__ import annotations

import subprocess
import sys
import threading

from p3d import turn
from p3d.turn import Turn


def test_a_fork_while_a_net_calls_another() -> None:
    """Which a layer in Python may; both would wait for each other."""
    code = f"""
import os, sys, threading, time, warnings
sys.path[:] = {sys.path!r}
warnings.simplefilter("ignore")
from p3d.turn import Turn

inner = [Turn() for _ in range(8)]
outer = Turn()
busy, forking = threading.Event(), threading.Event()
os.register_at_fork(before=forking.set)

def run():
    with outer:
        busy.set()
        forking.wait()
        time.sleep(0.3)  # until the fork waits
        for turn in inner:
            with turn:
                pass

thread = threading.Thread(target=run)
thread.start()
busy.wait()
child = os.fork()
for turn in (outer, *inner):
    with turn:
        pass
if child:
    thread.join()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_others_are_made_during_a_fork() -> None:
    """An error there would be a fork that waits for none."""
    over = threading.Event()

    def make() -> None:
        while not over.is_set():
            for _ in [Turn() for _ in range(100)]:
                pass

    thread = threading.Thread(target=make)
    thread.start()
    try:
        for _ in range(3000):
            turn._take_all()
            turn._give_back()
    finally:
        over.set()
        thread.join()
