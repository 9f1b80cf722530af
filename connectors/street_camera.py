"""Drawing textured flat shapes through a moving pinhole camera, colour and class from the very same pixels.

World axes in metres: x right, y up, z along the street. A shape is drawn over what is there already, so shapes come in
from far to near.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

NEAR_M = 0.5
_SHIFT = 4  # binary digits behind the point in polygon corners

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """A picture and its halves, quarters, … so that far surfaces neither flicker nor cost. `alpha`: where it is."""

    levels: tuple[NDArray[np.uint8], ...]  # (h, w, 3) RGB, largest first
    alpha: NDArray[np.uint8] | None = None  # (h, w), 255 inside the shape; None: everywhere

    @classmethod
    def of(cls, rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None) -> Texture:
        levels = [np.ascontiguousarray(rgb)]
        while min(levels[-1].shape[:2]) >= 4:
            h, w = levels[-1].shape[:2]
            half = cv2.resize(levels[-1], (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA)
            levels.append(half.astype(np.uint8, copy=False))
        return cls(tuple(levels), alpha)


class Picture:
    """One frame being drawn: `rgb` (H, W, 3) float32 0 to 255, `mask` (H, W) uint8, and the camera that sees it."""

    def __init__(
        self, width: int, height: int, focal_px: float, at: Vector, yaw: float, pitch: float, roll: float
    ) -> None:
        self.rgb = np.zeros((height, width, 3), np.float32)
        self.mask = np.zeros((height, width), np.uint8)
        self.at = at
        self.focal_px = focal_px
        self.center = (width / 2, height / 2)
        self._turn = _rotation(yaw, pitch, roll)
        self._rows: list[list[float]] = self._turn.tolist()
        x = (np.arange(width) + 0.5 - self.center[0]) / focal_px
        y = -(np.arange(height) + 0.5 - self.center[1]) / focal_px
        self.rays = (x.astype(np.float32), y.astype(np.float32))  # of column and row, at depth 1, y up

    def ground_rays(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """For each pixel the world direction (dx, dy, dz), each (H, W) float32, not normalised."""
        x, y = self.rays
        t = self._turn.astype(np.float32)  # camera = t @ world, so world = t.T @ camera
        parts = [t[0, i] * x[None, :] + t[1, i] * y[:, None] + t[2, i] for i in range(3)]
        return parts[0], parts[1], parts[2]

    def depth_of(self, point: Vector) -> float:
        return self._turned((point[0] - self.at[0], point[1] - self.at[1], point[2] - self.at[2]))[2]

    def quad(
        self, corner: Vector, right: Vector, down: Vector, texture: Texture, label: int, light: float = 1.0
    ) -> None:
        """Draw the parallelogram corner + a right + b down, a and b in [0, 1], the texture stretched over it."""
        found = self._inside(corner, right, down)
        if found is None:
            return
        (y0, y1, x0, x1), inside, to_plane, area = found
        size = texture.levels[0].shape[:2]
        level = round(0.5 * math.log2(max(1.0, size[0] * size[1] / max(area, 1.0))))
        picture = texture.levels[min(level, len(texture.levels) - 1)]
        a, b = _plane_coordinates(to_plane, self.rays[0][x0:x1], self.rays[1][y0:y1])
        if texture.alpha is not None:
            cut = _sample(texture.alpha, a, b)
            inside &= (cut > 127).view(np.uint8)
        color = _sample(picture, a, b).astype(np.float32)
        cv2.copyTo(color * np.float32(light) if light != 1 else color, inside, self.rgb[y0:y1, x0:x1])
        self.mask[y0:y1, x0:x1][inside > 0] = label

    def darken(self, corner: Vector, right: Vector, down: Vector, factor: float, soft: bool) -> None:
        """A shadow on what was drawn so far, over a parallelogram or (soft) the ellipse in it; classes stay."""
        found = self._inside(corner, right, down)
        if found is None:
            return
        (y0, y1, x0, x1), inside, to_plane, _ = found
        shade = inside.astype(np.float32)
        if soft:
            a, b = _plane_coordinates(to_plane, self.rays[0][x0:x1], self.rays[1][y0:y1])
            shade *= np.clip(2.5 * (1 - np.hypot(2 * a - 1, 2 * b - 1)), 0, 1)
        self.rgb[y0:y1, x0:x1] *= (1 - np.float32(1 - factor) * shade)[..., None]

    def _turned(self, v: Vector) -> Vector:
        (a, b, c), (d, e, f), (g, h, i) = self._rows
        x, y, z = v
        return a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z

    def _inside(
        self, corner: Vector, right: Vector, down: Vector
    ) -> tuple[tuple[int, int, int, int], NDArray[np.uint8], NDArray[np.float32], float] | None:
        """Which pixels a parallelogram covers; None if none.

        returns: the rows and columns of a box; (h, w) uint8, 1 on the shape's pixels in it; the (3, 3) homography from
        rays to the plane, and the shape's area in px².
        """
        # Plain floats: on vectors of three they are several times faster than arrays, and there are hundreds of shapes.
        o = self._turned((corner[0] - self.at[0], corner[1] - self.at[1], corner[2] - self.at[2]))
        u, v = self._turned(right), self._turned(down)
        outline = _clip_near((o, _add(o, u), _add(_add(o, u), v), _add(o, v)))
        if len(outline) < 3:
            return None
        f, (cx, cy) = self.focal_px, self.center
        xs = [p[0] / p[2] * f + cx for p in outline]
        ys = [cy - p[1] / p[2] * f for p in outline]
        height, width = self.mask.shape
        x0, x1 = max(math.floor(min(xs)), 0), min(math.ceil(max(xs)) + 1, width)
        y0, y1 = max(math.floor(min(ys)), 0), min(math.ceil(max(ys)) + 1, height)
        if x0 >= x1 or y0 >= y1:
            return None
        area = 0.5 * abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs))))
        inside = np.zeros((y1 - y0, x1 - x0), np.uint8)
        unit = 1 << _SHIFT
        corners = [(round((x - x0 - 0.5) * unit), round((y - y0 - 0.5) * unit)) for x, y in zip(xs, ys, strict=True)]
        cv2.fillPoly(inside, [np.array(corners, np.int32)], 1, shift=_SHIFT)
        to_plane = np.array([_cross(v, o), _cross(o, u), _cross(u, v)], np.float32)
        return (y0, y1, x0, x1), inside, to_plane, area


def _sample(image: NDArray[np.uint8], a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.uint8]:
    h, w = image.shape[:2]
    found: NDArray[np.uint8] = cv2.remap(
        image, a * w - np.float32(0.5), b * h - np.float32(0.5), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return found


def _plane_coordinates(
    to_plane: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(h, w) float32 each: where across and down the parallelogram (0 to 1) the rays of these pixels meet its plane.

    The plane's points are o + a u + b v, so a ray r meets it where (a, b, 1) is in proportion to inverse([u v o]) r,
    and that inverse to the rows v x o, o x u, u x v. An edge-on plane gives any value in [0, 1].
    """
    across, along, scale = (m[0] * x[None, :] + (m[1] * y + m[2])[:, None] for m in to_plane)
    scale[np.abs(scale) < 1e-12] = 1e-12
    return np.clip(across / scale, 0, 1), np.clip(along / scale, 0, 1)


def _add(p: Vector, q: Vector) -> Vector:
    return p[0] + q[0], p[1] + q[1], p[2] + q[2]


def _cross(p: Vector, q: Vector) -> Vector:
    return p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]


def _clip_near(corners: tuple[Vector, ...]) -> list[Vector]:
    """The polygon cut off at depth NEAR_M (Sutherland & Hodgman 1974)."""
    kept: list[Vector] = []
    for i, q in enumerate(corners):
        p = corners[i - 1]
        if (p[2] >= NEAR_M) != (q[2] >= NEAR_M):
            s = (NEAR_M - p[2]) / (q[2] - p[2])
            kept.append((p[0] + s * (q[0] - p[0]), p[1] + s * (q[1] - p[1]), NEAR_M))
        if q[2] >= NEAR_M:
            kept.append(q)
    return kept


def _rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """(3, 3), world to camera; angles in radians: yaw to the right, pitch up, roll clockwise."""
    cy, sy, cp, sp, cr, sr = (f(v) for v in (yaw, pitch, roll) for f in (math.cos, math.sin))
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)
