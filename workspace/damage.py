"""Is a file still what was written? A disk may cut it or flip a bit, and a wrong number must never look like a result.

PNG and zip (.npz, .pt) carry checksums, at which most of their readers do not look; arrays and JPEG get one here.
"""

from __future__ import annotations

import zipfile
import zlib
from io import BytesIO
from pathlib import Path

from workspace.errors import UserError

_MARK = b"fewclicks crc32 "
_SEAL = len(_MARK) + 8  # eight hex digits follow
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_COMMENT = b"\xff\xfe" + (_SEAL + 2).to_bytes(2, "big")


class DamagedFile(UserError):
    """A file of the project is not as it was written. `path`: which."""

    def __init__(self, path: Path, why: str = "its content does not match its checksum") -> None:
        super().__init__(f"{path} is damaged: {why}.", "Put it back from a backup, then `fewclicks retry` its video.")
        self.path = path
        self._why = why

    def __reduce__(self) -> tuple[type[DamagedFile], tuple[Path, str]]:  # type: ignore[override]
        return type(self), (self.path, self._why)


def sealed_array(data: bytes) -> bytes:
    """A .npy file with its checksum behind it, where readers of arrays do not look."""
    return data + _seal(data)


def sealed_jpeg(data: bytes) -> bytes:
    """A JPEG file with the checksum of the rest in a comment at its beginning."""
    assert data.startswith(_JPEG)
    rest = data[len(_JPEG) :]
    return _JPEG + _COMMENT + _seal(rest) + rest


def undamaged(path: Path, data: bytes) -> bytes:
    """`data`, read from `path`; DamagedFile if it is not as it was written.

    Of other people's files those are refused whose own checksums are wrong; without any nothing can be said.
    """
    if data.startswith(_PNG):
        _check_png(path, data)
    elif data.startswith(b"PK"):
        _check_zip(path, data)
    elif data.startswith(_JPEG):
        body = len(_JPEG) + len(_COMMENT) + _SEAL
        if data[len(_JPEG) :].startswith(_COMMENT + _MARK) and data[body - _SEAL : body] != _seal(data[body:]):
            raise DamagedFile(path)
    elif data[-_SEAL:].startswith(_MARK) and data[-_SEAL:] != _seal(data[:-_SEAL]):
        raise DamagedFile(path)
    return data


def _seal(data: bytes) -> bytes:
    return _MARK + f"{zlib.crc32(data):08x}".encode()


def _check_png(path: Path, data: bytes) -> None:
    """Every chunk: length, type, content, checksum; up to the one that ends the picture."""
    at, kind = len(_PNG), b""
    while kind != b"IEND":
        length = int.from_bytes(data[at : at + 4], "big")
        kind, checksum = data[at + 4 : at + 8], data[at + 8 + length : at + 12 + length]
        if len(checksum) < 4:
            raise DamagedFile(path, "its end is missing")
        if zlib.crc32(memoryview(data)[at + 4 : at + 8 + length]) != int.from_bytes(checksum, "big"):
            raise DamagedFile(path)
        at += 12 + length


def _check_zip(path: Path, data: bytes) -> None:
    try:
        with zipfile.ZipFile(BytesIO(data)) as file:
            if file.testzip() is not None:
                raise DamagedFile(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError, RuntimeError):
        raise DamagedFile(path) from None
