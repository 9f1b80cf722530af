"""A sample: what one person is asked about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

_KEY = re.compile(r"f(\d{6,})(?:\.p(\d+)-(\d+)-(\d+)-(\d+)|\.s([0-9a-f]{8})-(\d+))?")


class Granularity(StrEnum):
    FRAME = "frame"
    PATCH = "patch"
    SUPERPIXEL = "superpixel"


@dataclass(frozen=True, slots=True, order=True)
class Sample:
    """A whole frame, a rectangle of it (`box`: y, x, height, width in pixels), or one superpixel of a segmentation.

    `key` names it for ever: it goes into file names, the event log and the labeling tool, and `Sample.parse` reads it.
    """

    frame: int
    box: tuple[int, int, int, int] | None = None
    superpixel: tuple[str, int] | None = None  # fingerprint of the segmentation (8 hex digits), id in it

    def __post_init__(self) -> None:
        if self.frame < 0:
            raise ValueError(f"frame {self.frame} is negative")
        if self.box is not None and self.superpixel is not None:
            raise ValueError("a sample is a patch or a superpixel, not both")
        if self.box is not None and (min(self.box[:2]) < 0 or min(self.box[2:]) < 1):
            raise ValueError(f"patch {self.box} (y, x, height, width) is empty or begins outside the frame")

    @property
    def granularity(self) -> Granularity:
        if self.box is not None:
            return Granularity.PATCH
        return Granularity.SUPERPIXEL if self.superpixel is not None else Granularity.FRAME

    @property
    def key(self) -> str:
        base = f"f{self.frame:06d}"
        if self.box is not None:
            return f"{base}.p{'-'.join(map(str, self.box))}"
        if self.superpixel is not None:
            return f"{base}.s{self.superpixel[0]}-{self.superpixel[1]}"
        return base

    @classmethod
    def parse(cls, key: str) -> Sample:
        """The sample of a key; ValueError for anything else (keys come back from outside)."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"{key!r} is not a sample key")
        frame, y, x, h, w, fingerprint, number = match.groups()
        if y is not None:
            return cls(int(frame), box=(int(y), int(x), int(h), int(w)))
        if fingerprint is not None:
            return cls(int(frame), superpixel=(fingerprint, int(number)))
        return cls(int(frame))

    def region(self, height: int, width: int, superpixels: NDArray[np.int32] | None = None) -> NDArray[np.bool_]:
        """(height, width) bool, True on the pixels that this sample asks about.

        `superpixels`: (height, width) int32, the ids of the frame's segmentation; needed for a superpixel only.
        """
        if self.superpixel is not None:
            if superpixels is None:
                raise ValueError(f"the region of {self.key} needs the frame's superpixels")
            return np.asarray(superpixels == self.superpixel[1])
        region = np.zeros((height, width), bool)
        y, x, h, w = self.box or (0, 0, height, width)
        region[y : y + h, x : x + w] = True
        return region


def question_key(video: str, round_number: int, sample: Sample) -> str:
    """The key under which a sample is asked: video/round/sample, the same on every attempt."""
    return f"{video}/{round_number}/{sample.key}"
