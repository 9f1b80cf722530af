"""Runs one program for as long as its parent lives: `python keeper.py [--group] PROGRAM ARGUMENT...`.

Standard library only. With `--group` everything that the program has started and left behind is ended too: all of the
process group, which the keeper must lead.

Standard input is a pipe that only the parent holds open. When the parent ends, however it ends, the pipe closes and the
program is stopped. A death signal on the program itself covers the keeper's own sudden death. (A death signal from the
parent alone would not do: it fires when the thread that started the program ends.)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PATIENCE_S = 10.0
_PR_SET_PDEATHSIG = 1


def keep(command: list[str]) -> int:
    """Runs `command` until it ends, standard input closes, or SIGTERM comes; returns its exit code."""
    libc = ctypes.CDLL(None)  # loaded before the fork

    def die_with_the_keeper() -> None:
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_the_keeper)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    asked = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    while program.poll() is None and not asked:
        readable, _, _ = select.select([0, wake], [], [], 60)
        if wake in readable:
            os.read(wake, 4096)
        if 0 in readable and not os.read(0, 4096):
            break
    return _stop(program)


def _stop(program: subprocess.Popen[bytes]) -> int:
    with contextlib.suppress(ProcessLookupError):
        program.terminate()
    try:
        return program.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        program.kill()
        return program.wait()


def end_group() -> None:
    """Ends all other processes of our group: asked first, killed after `PATIENCE_S`. Does nothing elsewhere."""
    if os.getpgrp() != os.getpid():
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while others := _group():
        if time.monotonic() > deadline:
            for other in others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(other, signal.SIGKILL)
        time.sleep(0.1)


def _group() -> list[int]:
    """The other living processes of our group. (Where there is no /proc nothing is found.)"""
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{entry}/stat", "rb") as stat:
                    state, _, group = stat.read().rpartition(b")")[2].split()[:3]
                if int(group) == os.getpid() and state != b"Z":
                    found.append(int(entry))
    return found


if __name__ == "__main__":
    whole = sys.argv[1:2] == ["--group"]
    code = keep(sys.argv[2 if whole else 1 :])
    if whole:
        end_group()
    sys.exit(code)
