"""Label Studio's own virtual environment: it cannot share ours (its python-json-logger is older than Prefect's)."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from workspace.errors import UserError
from workspace.files import write_bytes

VERSION = "1.23.2"
_COMPLETE = "complete"  # written last: without it the environment is half-made


def configured_binary() -> Path | None:
    """The program named by LABEL_STUDIO_BIN; None if that is not set. UserError if it names nothing runnable."""
    named = os.environ.get("LABEL_STUDIO_BIN")
    if not named:
        return None
    if not os.access(named, os.X_OK) or Path(named).is_dir():
        raise UserError(f"LABEL_STUDIO_BIN is {named}, which is not a program.", "Correct or unset it.")
    return Path(named)


def environment_folder() -> Path:
    """Where our Label Studio lives: FEWCLICKS_HOME, else the user's data folder."""
    home = os.environ.get("FEWCLICKS_HOME") or platformdirs.user_data_dir("fewclicks")
    return Path(home).expanduser().absolute() / f"label-studio-{VERSION}"


def installed_binary() -> Path | None:
    """The label-studio program if there is one, without making anything."""
    named = configured_binary()
    if named is not None:
        return named
    binary = environment_folder() / "bin" / "label-studio"
    return binary if (environment_folder() / _COMPLETE).exists() and binary.exists() else None


def label_studio_binary(
    say: Callable[[str], None] = lambda text: None, requirement: str = f"label-studio=={VERSION}"
) -> Path:
    """The label-studio program, installed on first use (1 GB, some minutes); `say` hears about the progress.

    An installation that was interrupted is made again; a second process waits for the first. UserError with the last
    lines of the log when it fails.
    """
    found = installed_binary()
    if found is not None:
        return found
    folder = environment_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f".{folder.name}.lock")):
        found = installed_binary()  # by the process we waited for
        if found is not None:
            return found
        say(f"Installing Label Studio {VERSION} into {folder} (once, about 1 GB, some minutes).")
        # environments cannot be moved (their scripts hold their path), so it is built in place and marked when whole
        shutil.rmtree(folder, ignore_errors=True)
        log = folder.with_name(f"{folder.name}.log")
        log.unlink(missing_ok=True)
        _run([sys.executable, "-m", "venv", str(folder)], log)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([*pip, requirement], log)
        write_bytes(folder / _COMPLETE, f"{requirement}\n".encode())
        say("Label Studio is installed.")
    found = installed_binary()
    if found is None:
        raise UserError(f"{requirement} brought no label-studio program into {folder}.", f"See {log}.")
    return found


def _run(command: list[str], log: Path) -> None:
    with log.open("ab") as out:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        lines = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise UserError(
            f"Label Studio could not be installed: {' / '.join(line.strip() for line in lines)}.",
            f"See {log}; or install it yourself and set LABEL_STUDIO_BIN to its label-studio program.",
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the system frees the lock when its holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
