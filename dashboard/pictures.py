"""Small pictures of frames, masks and uncertainty, made when somebody looks at them."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from selection.uncertainty import entropy
from workspace.errors import UserError
from workspace.files import read_mask, read_rgb
from workspace.layout import Layout
from workspace.mask import UNKNOWN, MaskArray
from workspace.video import Video

WIDTHS = (160, 320, 640, 960, 1280, 1920)  # px; others would fill the cache with copies
MODEL = re.compile(r"(imported-)?[0-9a-f]{16}")  # the folder names that the product gives
_QUALITY = 85


def frame_jpeg(layout: Layout, video: Video, frame: int, width: int) -> bytes:
    """One frame, at most `width` px wide. UserError if its file is missing."""
    rgb = _smaller(read_rgb(layout.frame(video, frame)), width)
    done, data = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return data.tobytes()


def mask_png(layout: Layout, video: Video, model: str, frame: int, width: int, colors: NDArray[np.uint8]) -> bytes:
    """The mask of one frame in the colours of its classes, clear where it is unknown, at most `width` px wide."""
    mask = read_mask(_inside(layout.masks(video.id, model), f"{frame:06d}.png"))
    palette = np.zeros((256, 4), np.uint8)
    palette[: len(colors), :3], palette[: len(colors), 3] = colors, 255
    return palette_png(_nearest(mask, width), palette)


def heat_png(layout: Layout, video: Video, model: str, frame: int, width: int) -> bytes:
    """Entropy of the class probabilities of one frame, clear where they are certain. UserError if they are gone."""
    path = _inside(layout.probabilities(video.id, model), f"{frame:06d}.npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            probabilities = np.asarray(file["probabilities"])
    except (OSError, ValueError, KeyError):
        raise UserError(
            f"The probabilities of frame {frame} are not there.", "Only the newest ones are kept."
        ) from None
    most = np.log(max(2, len(probabilities)))
    share = np.clip(entropy(probabilities) / most, 0, 1)
    height = max(1, round(video.height * min(1.0, width / video.width)))
    large = cv2.resize(share, (min(width, video.width), height), interpolation=cv2.INTER_LINEAR)
    return palette_png((255 * large).round().astype(np.uint8), heat_palette())


def expected_errors(layout: Layout, video: Video, model: str) -> NDArray[np.float32] | None:
    """(N,) float32, share of each frame's pixels that are expected wrong; None if nothing says so."""
    if not MODEL.fullmatch(model):
        return None
    try:
        errors = np.load(layout.frame_errors(video.id, model), allow_pickle=False)
    except (OSError, ValueError):
        return None
    return np.asarray(errors, np.float32) if errors.shape == (video.frames,) else None


def worst_frames(errors: NDArray[np.float32], most: int) -> list[int]:
    """Frames with the largest errors, no two closer than a fortieth of the video, worst first; ties to the first."""
    apart = max(1, len(errors) // 40)
    left = errors.astype(np.float64).copy()
    picks: list[int] = []
    while len(picks) < most and np.isfinite(left).any() and left.max() > 0:
        pick = int(left.argmax())
        picks.append(pick)
        left[max(0, pick - apart) : pick + apart + 1] = -np.inf
    return picks


def overlay(rgb: NDArray[np.uint8], mask: MaskArray, colors: NDArray[np.uint8], opacity: float) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the mask's colours over the frame; unknown pixels stay as they are."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    known = (mask != UNKNOWN)[:, :, None]
    mixed = rgb * (1 - opacity) + table[mask] * opacity
    return np.where(known, mixed, rgb).round().astype(np.uint8)


def sample_jpeg(
    layout: Layout, video: Video, model: str, frame: int, width: int, colors: NDArray[np.uint8], opacity: float = 0.5
) -> bytes:
    """One frame with its mask over it, at most `width` px wide."""
    rgb = _smaller(read_rgb(layout.frame(video, frame)), width)
    mask = read_mask(_inside(layout.masks(video.id, model), f"{frame:06d}.png"))
    mask = cv2.resize(mask, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_NEAREST)
    shown = overlay(rgb, np.asarray(mask, np.uint8), colors, opacity)
    done, data = cv2.imencode(".jpg", shown[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return data.tobytes()


def palette_png(values: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """values: (H, W) uint8;  palette: (256, 4) uint8 RGBA"""
    image = Image.fromarray(values)
    image.putpalette(palette[:, :3].tobytes(), "RGB")
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", transparency=palette[:, 3].tobytes(), compress_level=3)
    return buffer.getvalue()


@lru_cache(maxsize=1)
def heat_palette() -> NDArray[np.uint8]:
    """(256, 4) uint8 RGBA: matplotlib's "inferno", clear at 0 and ever less so up to 255."""
    from matplotlib import colormaps

    palette = np.asarray(255 * colormaps["inferno"](np.arange(256)), np.uint8)
    palette[:, 3] = np.clip(np.arange(256) * 2, 0, 230)
    return palette


def _inside(folder: Path, name: str) -> Path:
    if not MODEL.fullmatch(folder.name):
        raise UserError(f"There are no masks {folder.name!r}.")
    return folder / name


def _smaller(rgb: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    if rgb.shape[1] <= width:
        return rgb
    size = width, max(1, round(rgb.shape[0] * width / rgb.shape[1]))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _nearest(mask: MaskArray, width: int) -> MaskArray:
    if mask.shape[1] <= width:
        return mask
    size = width, max(1, round(mask.shape[0] * width / mask.shape[1]))
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)
