"""A video to look at: the frames with their classes in colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from connectors.h264_file import h264_file
from workspace.mask import UNKNOWN, MaskArray

CRF = 20
OPACITY = 0.5
_PAD = 6


def overlay_video(
    pairs: Iterable[tuple[NDArray[np.uint8], MaskArray]],
    path: Path,
    fps: float,
    colors: NDArray[np.uint8],
    beat: Callable[[int], None],
    classes: Sequence[str] = (),
) -> int:
    """Write an H.264 MP4 of the frames with their masks laid over; returns the number of frames.

    pairs: (H, W, 3) uint8 RGB and (H, W) uint8;  colors: (K, 3) uint8 RGB;  classes: K names for a legend below the
    picture, empty for none;  beat: called with the number of frames done.
    """
    bar: NDArray[np.uint8] | None = None
    done = 0
    with h264_file(path, fps, CRF) as write:
        for rgb, mask in pairs:
            if bar is None:
                bar = legend(classes, colors, rgb.shape[1])
            write(np.concatenate([overlay(rgb, mask, colors), bar]))
            done += 1
            beat(done)
    return done


def overlay(rgb: NDArray[np.uint8], mask: MaskArray, colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: half picture, half class colour, full colour along borders, the picture where it is 255."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    tint = table[mask]
    mixed = cv2.addWeighted(rgb, 1 - OPACITY, tint, OPACITY, 0)
    known = mask != UNKNOWN
    border = np.zeros(mask.shape, bool)
    border[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    border[1:] |= mask[1:] != mask[:-1]
    mixed[border] = tint[border]
    return np.where(known[..., None], mixed, rgb).astype(np.uint8)


def legend(classes: Sequence[str], colors: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """(h, width, 3) uint8: a swatch and a name per class, in as many lines as it takes; h is 0 for no classes."""
    if not classes:
        return np.zeros((0, width, 3), np.uint8)
    font = ImageFont.load_default(size=13)
    line, swatch = 20, 12
    names = [_fitting(" ".join(name.split()) or "?", font, width - swatch - 3 * _PAD) for name in classes]
    places, x, y = [], _PAD, 0
    for name in names:
        needed = swatch + _PAD + int(font.getlength(name)) + 2 * _PAD
        if x > _PAD and x + needed > width:
            x, y = _PAD, y + line
        places.append((x, y))
        x += needed
    image = Image.new("RGB", (width, y + line + 4), (24, 24, 24))
    draw = ImageDraw.Draw(image)
    for (left, top), name, color in zip(places, names, colors, strict=False):
        draw.rectangle((left, top + 6, left + swatch - 1, top + 5 + swatch), fill=tuple(int(v) for v in color))
        draw.text((left + swatch + _PAD, top + 4), name, font=font, fill=(235, 235, 235))
    return np.array(image, dtype=np.uint8)


def _fitting(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(name) <= width:
        return name
    while len(name) > 1 and font.getlength(name + "…") > width:
        name = name[:-1]
    return name + "…"
