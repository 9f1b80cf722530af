"""Files appear whole or not at all; a name carries a fingerprint of what went in, so present means done."""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray

from workspace.damage import DamagedFile, sealed_array, sealed_jpeg, undamaged
from workspace.errors import UserError


def fingerprint(*parts: object) -> str:
    """16 hex digits over the parts: bytes as they are, arrays with shape and dtype, everything else as sorted JSON."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            data = part
        elif isinstance(part, np.ndarray):
            data = f"{part.shape}{part.dtype}".encode() + np.ascontiguousarray(part).tobytes()
        else:
            data = json.dumps(part, sort_keys=True, default=str).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; when the block ends well it is renamed to `path`, else removed.

    The data is on disk before the name is, so a power cut leaves either the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield part
        _sync(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Yields a new folder beside `path`; when the block ends well it takes the place of `path`, else it is removed.

    What killed processes left of earlier attempts is removed too. UserError if a file lies at `path`.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise UserError(f"{path} is there and is no folder.", "Move it away, or choose another target.")
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.part"):
        pid = left.name.split(".")[-3]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            shutil.rmtree(left, ignore_errors=True)
    part, old = (path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part") for _ in range(2))
    part.mkdir()
    try:
        yield part
        for file in part.rglob("*"):
            if file.is_file():
                _sync(file)
        if path.exists():
            os.replace(path, old)
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_bytes(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write `path` whole; with `mode` (0o600 for secrets) it never exists with wider permissions."""
    with writing(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644 if mode is None else mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def check_writable(out: Path | None) -> None:
    """UserError before long work begins if a file `out` could not be written at its end."""
    if out is not None and (out.is_dir() or not out.resolve().parent.is_dir()):
        raise UserError(f"{out} cannot be written.", "Name a file in a folder that exists.")


def check_folder_writable(out: Path) -> None:
    """Makes the folder `out`; UserError before long work begins if it cannot be made or written in."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be made: {error.strerror}.", "Name a folder that can be written.") from None
    if not os.access(out, os.W_OK):
        raise UserError(f"{out} cannot be written.", "Name a folder that can be written.")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}.", "Delete it and run again; it will be made anew.") from None


def write_array(path: Path, array: NDArray[Any]) -> None:
    write_bytes(path, array_bytes(array))


def array_bytes(array: NDArray[Any]) -> bytes:
    """A .npy file with a checksum, as `read_array` wants it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return sealed_array(buffer.getvalue())


def read_array(path: Path) -> NDArray[Any]:
    """DamagedFile if it is not as it was written."""
    try:
        return np.asarray(np.load(io.BytesIO(read_undamaged(path)), allow_pickle=False))
    except (EOFError, SyntaxError) as error:
        raise DamagedFile(path, str(error)) from None
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise
        raise DamagedFile(path, str(error)) from None


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file by name; DamagedFile if it is not as it was written."""
    with np.load(io.BytesIO(read_undamaged(path)), allow_pickle=False) as file:
        return {name: np.asarray(file[name]) for name in file.files}


def read_undamaged(path: Path) -> bytes:
    """Everything in the file; DamagedFile if it is not as it was written, as far as its format tells."""
    data = path.read_bytes()
    if not data:
        raise DamagedFile(path, "it is empty")
    return undamaged(path, data)


def write_image(path: Path, image: NDArray[np.uint8], quality: int = 95) -> None:
    """(H, W) uint8 or (H, W, 3) uint8 RGB to a lossless .png or a .jpg of `quality`, without chroma subsampling."""
    bgr = image[:, :, ::-1] if image.ndim == 3 else image
    options = (
        [cv2.IMWRITE_PNG_COMPRESSION, 3]
        if path.suffix == ".png"
        else [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    )
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(bgr), options)
    if not done:
        raise UserError(f"{path} cannot be written as {path.suffix}.")
    write_bytes(path, data.tobytes() if path.suffix == ".png" else sealed_jpeg(data.tobytes()))


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB. DamagedFile if it is not as it was written, as far as its format tells."""
    data = np.frombuffer(read_undamaged(path) if path.is_file() else b"\0", np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise UserError(f"{path} is missing or is no image.", "Add the video again with `fewclicks add`.")
    return np.ascontiguousarray(image[:, :, ::-1], dtype=np.uint8)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 of an index PNG (grey or palette): the class ids themselves, never their colours.

    DamagedFile if it is not as it was written.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(read_undamaged(path))) as image:
            if image.mode not in ("L", "P", "1"):
                kind = "16-bit" if image.mode.startswith("I;16") else image.mode
                raise UserError(
                    f"{path} is a {kind} image.",
                    "Masks are 8-bit single-channel PNG files of class ids (grey or palette).",
                )
            return np.array(image, dtype=np.uint8)  # of one bit: 0 and 1
    except UnidentifiedImageError:  # its words name an object in memory
        raise UserError(f"{path} is no image.", "Masks are PNG files of class ids (grey or palette).") from None
    except OSError as error:
        raise UserError(f"{path} is missing or is no image: {error}.") from None


def _sync(path: Path) -> None:
    """Waits until the file's data is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
