"""Who holds a lease: a process, named so that a dead one is recognised on the same machine and never elsewhere."""

from __future__ import annotations

import os
import secrets
import socket
from functools import cache
from pathlib import Path

import psutil


@cache
def _machine() -> str:
    """Host, boot and process namespace: two processes with one such name can look at each other's process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        boot, namespace = str(int(psutil.boot_time())), "0"
    return f"{socket.gethostname().replace('/', '-')}/{boot}/{namespace}"


def new_owner() -> str:
    """A name that no other claim has had or will have."""
    return f"{_machine()}/{os.getpid()}/{psutil.Process().create_time():.2f}/{secrets.token_hex(4)}"


def is_dead(owner: str) -> bool:
    """True only if the process ran on this very machine and is certainly gone."""
    try:
        machine, pid, created, _ = owner.rsplit("/", 3)
        if machine != _machine():
            return False
        process = psutil.Process(int(pid))
        return bool(abs(process.create_time() - float(created)) > 1 or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.Error):
        return False
