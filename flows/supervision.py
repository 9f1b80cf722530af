"""Keeps several programs running: starts them in order, starts again what dies, and stops all of them at the end."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import psutil

from connectors.label_studio import keeper
from workspace.errors import UserError
from workspace.files import write_bytes

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # before a program that died is started again
GOOD_S = 60.0  # one that ran so long begins with the first pause again
READY_S = 300.0  # a first start makes databases
STOP_S = 30.0
_LOOK_S = 0.5
_LOG_BYTES = 10_000_000  # from there on a service that starts begins a new log, and keeps the last one


@dataclass(frozen=True, slots=True)
class Service:
    """One program.

    `address`: where people or others reach it, "" if nowhere;  `health`: answers 200 once it is ready, "" if at once
    `once`: it ends by itself with 0, and what comes after it waits for that
    """

    name: str
    command: tuple[str, ...]
    address: str = ""
    health: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    once: bool = False


class Supervisor:
    """Runs the services of one project; a context manager, whose end stops them.

    folder   logs, and stack.json, which tells what runs: {"pid", "services": {name: {"pid", "address"}}}
    say      hears what is going on, in sentences

    Each program has a keeper, which ends it with all its children should this process die, even by SIGKILL. The lock of
    the folder is held until the last keeper is gone, so a second stack starts only where nothing is left of the first.
    """

    def __init__(self, services: Sequence[Service], folder: Path, say: Callable[[str], None]) -> None:
        self._services = services
        self._folder = folder
        self._say = say
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._began: dict[str, float] = {}
        self._deaths: dict[str, int] = {}
        self._again_at: dict[str, float] = {}
        self._done: set[str] = set()
        self._lock: IO[str] | None = None

    def __enter__(self) -> Supervisor:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._lock = _locked(self._folder / "lock")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def take(self, services: Sequence[Service]) -> None:
        """What is to run, for those who must hold the lock before they can tell."""
        self._services = services

    def run(self, stopped: Callable[[], bool], ready: Callable[[], None]) -> None:
        """Until `stopped` says so. `ready` is called when everything runs for the first time."""
        told = False
        while not stopped():
            self._look(stopped)
            if not told and not stopped():
                ready()
                told = True
            time.sleep(_LOOK_S)

    def _look(self, stopped: Callable[[], bool]) -> None:
        """Start what should run and does not, in order; what comes later waits until it is ready."""
        for service in self._services:
            process = self._running.get(service.name)
            if service.name in self._done or (process is not None and process.poll() is None):
                continue
            if process is not None:
                self._note_end(service, process)
            if service.name in self._done or time.monotonic() < self._again_at.get(service.name, 0.0):
                continue
            self._start(service)
            self._wait_until_ready(service, stopped)
            if stopped():
                return

    def _note_end(self, service: Service, process: subprocess.Popen[bytes]) -> None:
        """It is done, or to be started again after a pause."""
        del self._running[service.name]
        assert process.stdin is not None
        process.stdin.close()
        if service.once and process.returncode == 0:
            self._done.add(service.name)
            return
        if time.monotonic() - self._began[service.name] > GOOD_S:
            self._deaths[service.name] = 0
        deaths = self._deaths[service.name] = self._deaths[service.name] + 1
        pause = PAUSES_S[min(deaths, len(PAUSES_S)) - 1]
        self._again_at[service.name] = time.monotonic() + pause
        log = self._log(service)
        self._say(f"{service.name} ended ({_how(process.returncode)}); starting it again in {pause:g} s. See {log}.")

    def _start(self, service: Service) -> None:
        assert self._lock is not None
        log_file = self._log(service)
        if log_file.exists() and log_file.stat().st_size > _LOG_BYTES:
            log_file.replace(log_file.with_suffix(".log.1"))
        descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            self._running[service.name] = subprocess.Popen(
                [sys.executable, "-I", keeper.__file__, "--group", *service.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | service.environment,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
                pass_fds=[self._lock.fileno()],
            )
        self._began[service.name] = time.monotonic()
        self._deaths.setdefault(service.name, 0)
        self._write_state()

    def _wait_until_ready(self, service: Service, stopped: Callable[[], bool]) -> None:
        process = self._running[service.name]
        deadline = time.monotonic() + READY_S
        with httpx.Client(trust_env=False, timeout=5) as http:
            while process.poll() is None and not stopped() and time.monotonic() < deadline:
                if service.health:
                    with suppress(httpx.HTTPError):
                        if http.get(service.health).status_code == 200:
                            return
                elif not service.once:
                    return
                time.sleep(0.25)
        if process.poll() is not None:
            self._note_end(service, process)

    def _stop(self) -> None:
        """The last one first, each with all it started; waits until they are gone."""
        for service in reversed(self._services):
            process = self._running.pop(service.name, None)
            if process is None:
                continue
            assert process.stdin is not None
            process.stdin.close()  # the keeper's signal to stop
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        (self._folder / "stack.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _log(self, service: Service) -> Path:
        return self._folder / f"{service.name}.log"

    def _write_state(self) -> None:
        running = {
            service.name: {"pid": self._running[service.name].pid, "address": service.address}
            for service in self._services
            if service.name in self._running
        }
        state = {"pid": os.getpid(), "started": psutil.Process().create_time(), "services": running}
        write_bytes(self._folder / "stack.json", json.dumps(state).encode(), mode=0o600)


def _locked(path: Path) -> IO[str]:
    file = path.open("w")
    deadline = time.monotonic() + STOP_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if _owner_lives(path.with_name("stack.json")) or time.monotonic() > deadline:
                file.close()
                raise UserError(
                    f"`fewclicks up` already runs for {path.parent.parent}.", "Use that one, or stop it first."
                ) from None
            time.sleep(0.2)  # its owner has died, and the keepers are stopping what it started


def address_of(folder: Path, service: str) -> str | None:
    """Where a service of the stack that runs in this folder is reached; None if it does not run."""
    state = folder / "stack.json"
    if not _owner_lives(state):
        return None
    try:
        return str(json.loads(state.read_bytes())["services"][service]["address"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _owner_lives(state: Path) -> bool:
    try:
        value = json.loads(state.read_bytes())
        process = psutil.Process(int(value["pid"]))
        return bool(abs(process.create_time() - value["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE)
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return False


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
