"""One colour per class, the same in the labeling tool, in exported palettes and in overlays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workspace.config import ClassConfig

_STEPS = np.array([0, 64, 128, 192, 255])  # per channel: 125 colours; finer ones come in when these are used up
_FINE_STEPS = np.array([0, 36, 73, 109, 146, 182, 219, 255])  # 512 colours
_RESERVED = np.array([[0, 0, 0], [255, 255, 255], [128, 128, 128]], np.uint8)  # black is "unknown" in overlays


def class_colors(classes: Sequence[ClassConfig]) -> NDArray[np.uint8]:
    """(K, 3) uint8 RGB, in the order of `classes`: the configured colour, else the one farthest from all others so far.

    Distance is Euclidean in CIELAB (CIE 1976). Colours chosen here differ from each other, from every configured one
    and from black, grey and white; a class added at the end without a colour leaves the others as they were. Ties go to
    the first candidate in RGB order.
    """
    colors = np.zeros((len(classes), 3), np.uint8)
    given = [k for k, c in enumerate(classes) if c.color is not None]
    for k in given:
        colors[k] = _rgb(str(classes[k].color))
    missing = [k for k in range(len(classes)) if classes[k].color is None]
    taken = np.concatenate([_RESERVED, colors[given]])
    candidates = _grid(_STEPS if len(missing) + len(taken) <= 100 else _FINE_STEPS)
    places = _lab(candidates)
    nearest = np.linalg.norm(places[:, None] - _lab(taken)[None], axis=2).min(axis=1)
    for k in missing:
        best = int(nearest.argmax())
        colors[k] = candidates[best]
        nearest = np.minimum(nearest, np.linalg.norm(places - places[best], axis=1))
    return colors


def hex_color(color: NDArray[np.uint8]) -> str:
    """(3,) uint8 RGB as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*(int(v) for v in color))


def _rgb(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(text.removeprefix("#")), np.uint8)


def _grid(steps: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.uint8)


def _lab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, 3) uint8 sRGB to (N, 3) CIELAB under D65."""
    v = rgb.astype(np.float64) / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
