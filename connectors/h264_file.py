"""Writing H.264 in MP4, one RGB frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from workspace.files import writing

FrameWriter = Callable[[NDArray[np.uint8]], None]


@contextmanager
def h264_file(path: Path, fps: float, crf: int) -> Iterator[FrameWriter]:
    """Yields a function that appends one (H, W, 3) uint8 RGB frame; the file appears when the block ends well.

    crf: 0 (lossless) to 51.  yuv420p needs even sides: an odd side is lengthened by repeating its last row or column.
    Any player and browser can show it. Raises ValueError for no frames at all or frames of different sizes.
    """
    rate = Fraction(fps).limit_denominator(1001)
    if rate <= 0:
        raise ValueError(f"a video cannot have {fps} frames per second")
    with (
        writing(path) as part,
        av.open(f"file:{part}", "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        size: tuple[int, ...] = ()
        count = 0

        def write(rgb: NDArray[np.uint8]) -> None:
            nonlocal size, count
            height, width = rgb.shape[:2]
            if not size:
                size = rgb.shape
                stream.width, stream.height = width + width % 2, height + height % 2
            elif rgb.shape != size:
                raise ValueError(f"frame {count} is {rgb.shape}, the others are {size}")
            even = cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
            frame.pts = count
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
            count += 1

        yield write
        if not count:
            raise ValueError(f"{path.name} would have no frames")
        container.mux(stream.encode())
