"""Runs one program for as long as its parent lives: `python keeper.py PROGRAM ARGUMENT...`, standard library only.

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


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
