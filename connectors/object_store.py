"""Files that never change, at a URL: s3:// through boto3, everything else through fsspec.

An object's name is made from what is in it. So it may be written twice or by two, and nothing is ever overwritten by
something else; no condition on a write is needed.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from connectors.s3_access import s3_client, s3_errors, s3_session
from workspace.errors import LeaseLost, ToolUnavailable, UserError

SETTING = "workspace.remote"
_ATTEMPTS, _FIRST_PAUSE_S = 4, 0.5  # of what fsspec does not try again by itself; each pause is twice the one before

Beat = Callable[[], None]
"""Called often while bytes go by; what it raises ends the transfer."""


@dataclass(frozen=True, slots=True)
class Stored:
    """written_at: seconds since the epoch, by the store's clock"""

    name: str
    bytes: int
    written_at: float


class ObjectStore(Protocol):
    """Where objects lie. Every method raises ToolUnavailable for what may pass, and UserError for what does not."""

    def put(self, name: str, file: Path, beat: Beat) -> None:
        """Make the object appear, whole or not at all; one of this name, which held the same, is replaced."""

    def get(self, name: str, file: Path, beat: Beat) -> None:
        """Write the object's bytes to `file`. UserError if there is none of this name."""

    def listed(self) -> list[Stored]:
        """Every object that is there, by name."""

    def remove(self, name: str) -> None:
        """Have no object of this name; it may be gone already."""


def open_store(url: str) -> ObjectStore:
    """url: as in `workspace.remote`, checked there."""
    return BucketStore(url) if url.startswith("s3://") else FolderStore(url)


class BucketStore:
    """In an S3 bucket: an object is seen once it is complete, and its bytes are checked on their way."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url, self._bucket, prefix = url.rstrip("/"), parts.netloc, parts.path.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""

    def put(self, name: str, file: Path, beat: Beat) -> None:
        with s3_errors(self._url, SETTING), file.open("rb") as source:  # closed by us, whatever `beat` raises
            self._s3.upload_fileobj(source, self._bucket, self._prefix + name, **self._how(beat))

    def get(self, name: str, file: Path, beat: Beat) -> None:
        s3 = self._s3
        from botocore.exceptions import ClientError

        with s3_errors(self._url, SETTING):
            try:
                with file.open("wb") as target:
                    s3.download_fileobj(self._bucket, self._prefix + name, target, **self._how(beat))
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
                    raise
                raise _missing(self._url, name) from None

    def listed(self) -> list[Stored]:
        with s3_errors(self._url, SETTING):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            return [
                Stored(found["Key"].removeprefix(self._prefix), found["Size"], found["LastModified"].timestamp())
                for page in pages
                for found in page.get("Contents", ())
            ]

    def remove(self, name: str) -> None:
        with s3_errors(self._url, SETTING):
            self._s3.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    @cached_property
    def _s3(self) -> Any:
        return s3_client(s3_session(SETTING), self._url, SETTING)

    def _how(self, beat: Beat) -> dict[str, Any]:
        from boto3.s3.transfer import TransferConfig

        # without threads, what `beat` raises comes out here
        return {"Callback": lambda _: beat(), "Config": TransferConfig(use_threads=False)}


class FolderStore:
    """In a folder of any file system that fsspec knows: written under another name and moved once it is complete."""

    def __init__(self, url: str) -> None:
        import fsspec

        self._url = url.rstrip("/")
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self._url)
        except ImportError as error:
            raise UserError(f"{SETTING} {self._url} needs a package: {error}.", "Install it with pip.") from None
        except (ValueError, OSError) as error:
            raise UserError(f"{SETTING} {self._url} cannot be used: {' '.join(str(error).split())[:200]}.") from None

    def put(self, name: str, file: Path, beat: Beat) -> None:
        target = f"{self._root}/{name}"
        part = f"{self._root}/.{secrets.token_hex(8)}.part"

        def send() -> None:
            self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            try:
                self._fs.put_file(str(file), part, callback=_callback(beat))
                self._fs.mv(part, target)
            finally:
                if self._fs.exists(part):
                    self._fs.rm(part)

        self._again(send)

    def get(self, name: str, file: Path, beat: Beat) -> None:
        def fetch() -> None:
            try:
                self._fs.get_file(f"{self._root}/{name}", str(file), callback=_callback(beat))
            except FileNotFoundError:
                raise _missing(self._url, name) from None

        self._again(fetch)

    def listed(self) -> list[Stored]:
        found: list[Stored] = []

        def look() -> None:
            self._fs.invalidate_cache()
            there = self._fs.find(self._root, detail=True)
            root = f"{self._fs._strip_protocol(self._root)}/"
            found[:] = [
                Stored(path.removeprefix(root), about["size"], self._fs.modified(path).timestamp())
                for path, about in sorted(there.items())
            ]

        self._again(look)
        return found

    def remove(self, name: str) -> None:
        def act() -> None:
            with suppress(FileNotFoundError):
                self._fs.rm_file(f"{self._root}/{name}")

        self._again(act)

    def _again(self, act: Callable[[], None]) -> None:
        pause = _FIRST_PAUSE_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._errors():
                    act()
                return
            except ToolUnavailable:
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(pause)
                pause *= 2

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (UserError, LeaseLost):
            raise
        except (PermissionError, NotImplementedError) as error:
            raise UserError(
                f"{self._url} refused a request ({type(error).__name__}).", f"Check {SETTING} and its rights."
            ) from None
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())[:200]
            raise ToolUnavailable(f"{self._url} does not answer ({reason}).", "Run again; nothing was lost.") from None


def _missing(url: str, name: str) -> UserError:
    return UserError(
        f"{name} is missing in {url}, though the project's log names it.",
        "Bring it back from a copy; on a machine that still has the files, `fewclicks share DIR` does.",
    )


def _callback(beat: Beat) -> Any:
    from fsspec.callbacks import Callback

    return Callback(hooks={"beat": lambda *_, **__: beat()})
