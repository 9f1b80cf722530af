"""The packed run lengths in which Label Studio keeps brush regions (the format of thi.ng's rle-pack), fast.

A stream of bits: 32 for the number of values, 5 for bits per value - 1, four times 4 for the bits of a length - 1; then
runs: 1 bit "repeated" (else the values follow one by one), 2 bits that choose one of the four sizes, so many bits for
length - 1, and the value or values. Label Studio packs RGBA, 8 bits per value, with sizes of 3, 4, 8 and 16 bits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SIZES = (3, 4, 8, 16)
_LONGEST = 1 << _SIZES[-1]
_CHANNELS = 4


def pack(pixels: NDArray[np.bool_]) -> bytes:
    """(H, W) bool to the packed RGBA image in which painted pixels are 255 in all channels and others 0."""
    flat = pixels.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges]) if flat.size else np.empty(0, np.int64)
    lengths = np.diff(np.concatenate([starts, [flat.size]])) * _CHANNELS
    parts = [f"{flat.size * _CHANNELS:032b}{7:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    parts += map(_run, lengths.tolist(), flat[starts].tolist())
    bits = "".join(parts)
    octets = (len(bits) + 7) // 8
    return int(bits.ljust(octets * 8, "0"), 2).to_bytes(octets, "big")


@lru_cache(maxsize=65536)  # the runs of one object are of few lengths
def _run(length: int, value: bool) -> str:
    """The bits of one run of equal values, in several parts if it is long."""
    word = "1" * 8 if value else "0" * 8
    parts = []
    while length > 0:
        now = min(length, _LONGEST)
        choice = (now > 8) + (now > 16) + (now > 256)  # the smallest size that holds it
        parts.append(f"1{choice:02b}{now - 1:0{_SIZES[choice]}b}{word}")
        length -= now
    return "".join(parts)


def unpack(data: bytes, first: int = 0, step: int = 1) -> NDArray[np.uint8]:
    """The values from `first` on, every `step`-th; ValueError if `data` ends early or says more than it announced.

    first: 0 to step - 1
    returns: (ceil((N - first) / step),) uint8 of the N values announced, for which memory is taken: look at N before
    (`announced`) when the data is not ours. One channel of an image takes a quarter of the memory of all four.
    """
    if len(data) < 8:
        raise ValueError("they are cut off")
    total, end = announced(data), len(data) * 8
    bits: NDArray[np.uint8] | None = None
    padded = data + bytes(8)

    def read(position: int, size: int) -> int:
        byte = position >> 3
        window = int.from_bytes(padded[byte : byte + 4], "big")
        return (window >> (32 - (position & 7) - size)) & ((1 << size) - 1)

    if read(32, 5) != 7:
        raise ValueError("they are not of 8 bits")
    sizes = [read(37 + 4 * i, 4) + 1 for i in range(4)]
    out = np.empty(-((first - total) // step), np.uint8)
    at, position = 0, 53
    while at < total:
        # one look of 32 bits holds the head (3 bits), the length (16 at most), and often the value
        byte, bit = position >> 3, position & 7
        window = int.from_bytes(padded[byte : byte + 5], "big") >> (8 - bit)
        size = sizes[window >> 29 & 3]
        length = (window >> (29 - size) & ((1 << size) - 1)) + 1
        repeated = window >> 31 & 1
        position += 3 + size
        after = position + (8 if repeated else 8 * length)
        if at + length > total or after > end:
            raise ValueError("they are cut off" if after > end else "they hold more values than announced")
        begin, stop = -((first - at) // step), -((first - at - length) // step)
        if repeated or length == 1:
            out[begin:stop] = window >> (21 - size) & 255
        else:
            bits = np.unpackbits(np.frombuffer(data, np.uint8)) if bits is None else bits
            out[begin:stop] = np.packbits(bits[position:after])[first + begin * step - at :: step]
        at, position = at + length, after
    return out


def announced(data: bytes) -> int:
    """The number of values that the data says it holds."""
    return int.from_bytes(data[:4], "big")
