"""Is a video file whole, as far as its container can tell?

Demuxers end quietly where a file was cut off and skip quietly what they cannot parse, so a damaged video would pass for
a shorter one. Every container that we take states lengths; they are compared with the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_CLUSTER = b"\x1f\x43\xb6\x75"
_UNKNOWN = -1


def declared_size(path: Path) -> int | None:
    """Where the container says that its media data end, in bytes from the start; None where it says nothing.

    Matroska and WebM: the end of the Segment (RFC 8794, RFC 9559). MP4 and MOV: the end of the last `mdat` or `moov`
    box (ISO/IEC 14496-12). AVI: the end of the RIFF chunk. Larger than the file: the file was cut off.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == _EBML:
            return _segment(file)[1]
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            size = int.from_bytes(head[4:8], "little")
            return None if size in (0, 0xFFFFFFFF) else 8 + size  # both: the writer could not go back to fill it in
        if head[4:8].isalnum():
            return _last_box_end(file)
    return None


def structure_break(path: Path) -> int | None:
    """The first byte at which a Matroska or WebM file stops to be a sequence of well-formed elements, or None.

    Only there do demuxers search on for the next piece they understand and lose the frames between. Segment and
    Clusters are walked element by element; a frame's own bytes are the decoder's to judge. None for other containers.
    """
    with path.open("rb") as file:
        if file.read(4) != _EBML:
            return None
        start, end = _segment(file)
        length = os.fstat(file.fileno()).st_size
        return None if start is None else _walk(file, start, length if end is None else min(end, length), top=True)


def _walk(file: BinaryIO, start: int, end: int, top: bool) -> int | None:
    """Elements must follow one another from `start` to exactly `end`, and (at the `top`) so inside each Cluster."""
    at = start
    while at < end:
        file.seek(at)
        kind, size = _element_id(file), _vint(file)
        inside = file.tell()
        if kind == _CLUSTER and size == _UNKNOWN:
            at = inside  # as live writers leave it: what is in it follows as if it stood beside it
            continue
        if kind is None or size is None or size == _UNKNOWN or inside + size > end:
            return at
        broken = _walk(file, inside, inside + size, top=False) if top and kind == _CLUSTER else None
        if broken is not None:
            return broken
        at = inside + size
    return None


def _segment(file: BinaryIO) -> tuple[int | None, int | None]:
    """Where the Segment's content begins and ends; None for what the file does not say."""
    file.seek(4)
    header = _vint(file)
    if header is None or header == _UNKNOWN:
        return None, None
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return None, None
    size = _vint(file)
    start = file.tell()
    return start, None if size is None or size == _UNKNOWN else start + size


def _element_id(file: BinaryIO) -> bytes | None:
    first = file.read(1)
    if not first or first[0] < 0x10:  # ids are 1 to 4 bytes long
        return None
    return first + file.read(8 - first[0].bit_length())


def _vint(file: BinaryIO) -> int | None:
    """An EBML variable-length size; _UNKNOWN where its writer left it open (all ones), None where it is malformed."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    if len(rest) != length - 1:
        return None
    bits = 7 * length
    value = int.from_bytes(first + rest, "big") & ((1 << bits) - 1)
    return _UNKNOWN if value == (1 << bits) - 1 else value


def _last_box_end(file: BinaryIO) -> int | None:
    end = None
    at, length = 0, os.fstat(file.fileno()).st_size
    while at + 8 <= length:
        file.seek(at)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1 and len(header) == 16:
            size = int.from_bytes(header[8:16], "big")
        if size < 8:  # 0: to the end of the file; less: no box
            break
        at += size
        if kind in (b"mdat", b"moov"):  # others may be trailing rubbish that players ignore
            end = at
    return end
