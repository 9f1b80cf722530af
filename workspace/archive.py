"""One file that holds many: written whole, and checked whole before anything is taken out of it.

A plain zip, whose comment (its last bytes) is the SHA-256 of everything before it. So a truncated or altered archive is
recognised before its first byte is believed. A checksum is no signature: names and sizes are checked as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from workspace.errors import UserError
from workspace.files import writing

# Every part of a name begins with a letter or digit: nothing absolute, hidden, above the folder, or of another system.
MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
ABOUT = "about.json"
_MARK = b"sha256:"
_SEAL = len(_MARK) + 64  # bytes
_PIECE = 2**20
_MAX_ABOUT = 2**20
_COMPRESSIBLE = {".db", ".json", ".yaml"}  # pictures and models are dense already

Beat = Callable[[float], None]
"""Called often with the fraction done."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that has been checked. `about`: what its writer said of it; `sizes`: bytes of every member."""

    about: Mapping[str, Any]
    sizes: Mapping[str, int]
    _zip: zipfile.ZipFile

    def extract(self, target: Path, beat: Beat) -> None:
        """Every member as a regular file under `target`; UserError before the first if the disk is too small."""
        total = sum(self.sizes.values())
        target.mkdir(parents=True)
        free = shutil.disk_usage(target).free
        if total > free:
            raise UserError(f"{total:,} bytes do not fit on the disk of {target.parent}, which has {free:,} left.")
        done = 0
        for name, size in self.sizes.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with self._zip.open(name) as source, path.open("xb") as file:
                    shutil.copyfileobj(source, file, _PIECE)
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
                raise UserError(f"{name} in the backup cannot be unpacked.", "Do not use it.") from None
            done += size
            beat(done / max(total, 1))


def write_archive(path: Path, about: Mapping[str, Any], members: Mapping[str, Path], beat: Beat) -> None:
    """Write `path` whole, readable by its owner only; the members must not change meanwhile.

    members: name in the archive -> file
    """
    with writing(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            archive.comment = _MARK + b"0" * 64
            archive.writestr(ABOUT, json.dumps(about, indent=1, sort_keys=True))
            for number, (name, source) in enumerate(members.items(), start=1):
                assert MEMBER.fullmatch(name), name
                packing = zipfile.ZIP_DEFLATED if source.suffix in _COMPRESSIBLE else zipfile.ZIP_STORED
                archive.write(source, name, packing, compresslevel=1)
                beat(number / len(members))
        with part.open("r+b") as sealed:
            digest = _digest(sealed)
            sealed.seek(-64, os.SEEK_END)
            sealed.write(digest.encode())


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The archive at `path`. UserError, with nothing written, if a single bit of it is not as it was made."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            _check_seal(path, file)
            archive = stack.enter_context(zipfile.ZipFile(file))
            sizes = _checked_sizes(path, archive)
            about = json.loads(archive.read(ABOUT)) if sizes.pop(ABOUT, _MAX_ABOUT) < _MAX_ABOUT else None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            raise _no_backup(path) from None
        if not isinstance(about, dict):
            raise _no_backup(path)
        yield Archive(about, sizes, archive)


def _check_seal(path: Path, file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _SEAL, 0))
    seal = file.read()
    if not seal.startswith(_MARK) or len(seal) != _SEAL:
        raise UserError(
            f"{path} is no backup of fewclicks, or its end is missing.", "Take another one that was copied completely."
        )
    if _digest(file).encode() != seal[len(_MARK) :]:
        raise UserError(
            f"{path} is damaged: its content does not match its checksum.", "Take another one; nothing was written."
        )


def _digest(file: IO[bytes]) -> str:
    """SHA-256 of everything before the last 64 bytes, as 64 hex digits."""
    left = file.seek(0, os.SEEK_END) - 64
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        piece = file.read(min(left, _PIECE))
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()


def _checked_sizes(path: Path, archive: zipfile.ZipFile) -> dict[str, int]:
    """Bytes of each member. Whoever makes an archive can seal it, so names are not believed."""
    sizes: dict[str, int] = {}
    for member in archive.infolist():
        if not MEMBER.fullmatch(member.filename) or member.filename in sizes:
            raise UserError(
                f"{path} holds a file named {member.filename[:80]!r}, which no backup has.", "Do not restore it."
            )
        sizes[member.filename] = member.file_size
    return sizes


def _no_backup(path: Path) -> UserError:
    return UserError(f"{path} is no backup of fewclicks.", "`fewclicks backup DIR FILE` makes one.")
