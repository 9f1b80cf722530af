"""Procedural pictures for the rendered street: facades, foliage, people, cars, signs. All drawn, none copied."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from connectors.street_camera import Texture

Color = tuple[int, int, int]

WALLS: tuple[Color, ...] = (
    (168, 92, 70),
    (196, 178, 148),
    (150, 146, 140),
    (205, 196, 180),
    (128, 84, 66),
    (176, 158, 120),
    (142, 152, 160),
)
PAINTS: tuple[Color, ...] = (
    (178, 32, 34),
    (32, 58, 120),
    (210, 210, 208),
    (30, 32, 36),
    (120, 124, 128),
    (46, 96, 66),
    (196, 158, 60),
    (140, 142, 150),
)
CLOTHES: tuple[Color, ...] = (
    (150, 40, 44),
    (40, 60, 110),
    (44, 46, 50),
    (196, 190, 178),
    (70, 100, 70),
    (180, 140, 60),
    (96, 70, 110),
    (80, 82, 86),
)
SKIN: tuple[Color, ...] = ((224, 184, 156), (188, 138, 104), (112, 76, 56))
WALK_POSES = 8


def clouds(rng: np.random.Generator, height: int, width: int, coarse: int, octaves: int = 4) -> NDArray[np.float32]:
    """(height, width) float32 in [0, 1]: smooth noise that repeats at its borders, `coarse` waves per side."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        n = coarse << octave
        grid = rng.random((n, n), dtype=np.float32)
        grid = np.pad(grid, 2, mode="wrap")
        scale_y, scale_x = height / n, width / n
        y = (np.arange(height, dtype=np.float32) / scale_y + 1.5)[:, None].repeat(width, 1)
        x = (np.arange(width, dtype=np.float32) / scale_x + 1.5)[None, :].repeat(height, 0)
        total += cv2.remap(grid, x, y, cv2.INTER_CUBIC) * np.float32(0.5**octave)
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def grain(rng: np.random.Generator, rgb: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """The same picture, each texel lighter or darker by up to `strength` grey levels, in patches and in dust."""
    h, w = rgb.shape[:2]
    patches = clouds(rng, h, w, 3) - 0.5
    dust = rng.random((h, w), dtype=np.float32) - 0.5
    return np.clip(rgb + (strength * (1.2 * patches + 0.8 * dust))[..., None], 0, 255).astype(np.uint8)


def facade(rng: np.random.Generator, length_m: float, height_m: float) -> Texture:
    """The street side of a house: plaster or brick, storeys of windows, a ground floor with door and shop windows."""
    px = 20  # per metre
    w, h = int(length_m * px), int(height_m * px)
    wall = WALLS[rng.integers(len(WALLS))]
    rgb: NDArray[np.uint8] = np.full((h, w, 3), wall, np.uint8)
    if rng.random() < 0.5:  # courses of bricks
        rgb[::5] = (0.82 * rgb[::5]).astype(np.uint8)
        for row in range(0, h, 10):
            rgb[row : row + 5, 3::12] = (0.86 * rgb[row : row + 5, 3::12]).astype(np.uint8)
            rgb[row + 5 : row + 10, 9::12] = (0.86 * rgb[row + 5 : row + 10, 9::12]).astype(np.uint8)
    rgb = grain(rng, rgb, 34)
    trim = tuple(int(min(255, 1.25 * c + 10)) for c in wall)
    storey, bay = int(rng.integers(56, 68)), int(rng.integers(38, 60))
    for top in range(h - 2 * storey, -storey // 2, -storey):
        cv2.rectangle(rgb, (0, top + storey - 3), (w, top + storey - 1), trim, -1)
        for left in range((w % bay) // 2, w - bay + 1, bay):
            _window(rng, rgb, left + bay // 5, top + storey // 4, bay * 3 // 5, storey * 3 // 5, trim)
    plinth = h - storey
    door = int(rng.integers(0, max(1, w // bay)))
    shop = rng.random() < 0.4
    for i, left in enumerate(range((w % bay) // 2, w - bay + 1, bay)):
        if i == door:
            color = tuple(int(v) for v in rng.integers(30, 110, 3))
            cv2.rectangle(rgb, (left + bay // 4, plinth + 14), (left + bay * 3 // 4, h), color, -1)
            cv2.circle(rgb, (left + bay * 2 // 3, plinth + storey * 2 // 3), 1, (220, 200, 120), -1)
        elif shop:
            _window(rng, rgb, left + 3, plinth + 16, bay - 6, storey - 26, (60, 60, 64))
        else:
            _window(rng, rgb, left + bay // 5, plinth + storey // 4, bay * 3 // 5, storey // 2, trim)
    if shop:
        sign = tuple(int(v) for v in rng.integers(40, 200, 3))
        cv2.rectangle(rgb, (0, plinth), (w, plinth + 11), sign, -1)
        for x in range(6, w - 8, 9):
            if rng.random() < 0.6:
                cv2.rectangle(rgb, (x, plinth + 3), (x + 5, plinth + 8), (235, 235, 225), -1)
    rgb[:6] = (0.55 * rgb[:6]).astype(np.uint8)  # the eaves
    return Texture.of(rgb)


def _window(
    rng: np.random.Generator, rgb: NDArray[np.uint8], x: int, y: int, w: int, h: int, frame: tuple[int, ...]
) -> None:
    if w < 4 or h < 4:
        return
    glass = np.array([58, 70, 84]) + rng.integers(-22, 26) + rng.integers(-6, 7, 3)
    cv2.rectangle(rgb, (x - 2, y - 2), (x + w + 1, y + h + 1), frame, -1)
    cv2.rectangle(rgb, (x, y), (x + w - 1, y + h - 1), tuple(int(v) for v in glass), -1)
    cut = y + int(h * rng.uniform(0.1, 0.9))  # what the pane reflects
    cv2.rectangle(rgb, (x, y), (x + w - 1, cut), tuple(int(min(255, v + 28)) for v in glass), -1)
    if rng.random() < 0.4:  # curtains
        cv2.rectangle(rgb, (x, y), (x + w // 4, y + h - 1), (206, 200, 188), -1)
    cv2.line(rgb, (x + w // 2, y), (x + w // 2, y + h - 1), frame, 1)
    cv2.line(rgb, (x - 3, y + h + 2), (x + w + 2, y + h + 2), tuple(int(0.6 * v) for v in frame), 1)


def foliage(rng: np.random.Generator, size: int = 160, holes: float = 0.36) -> Texture:
    """A tree's crown: a ragged blob of leaves, lit from above, with gaps that let the background through."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size * 2 - 1
    rim = 0.72 + 0.34 * (clouds(rng, size, size, 4) - 0.5)
    body = np.hypot(x, y * 1.05) < rim
    gaps = clouds(rng, size, size, 10, 3) < holes * np.clip(np.hypot(x, y) * 1.1, 0.45, 1)
    alpha = np.where(body & ~gaps, 255, 0).astype(np.uint8)
    leaves = clouds(rng, size, size, 12, 3)
    light = 0.5 + 0.75 * leaves - 0.28 * y
    hue = np.array([rng.integers(52, 84), rng.integers(88, 116), rng.integers(34, 56)], np.float32)
    rgb = np.clip(hue * light[..., None] + rng.normal(0, 9, (size, size, 1)), 0, 255).astype(np.uint8)
    return Texture.of(rgb, alpha)


def bark(rng: np.random.Generator) -> Texture:
    stripes = np.clip(70 + 30 * rng.standard_normal((1, 12)) + 12 * rng.standard_normal((64, 12)), 20, 150)
    return Texture.of((stripes[..., None] * np.array([1.0, 0.85, 0.7])).clip(0, 255).astype(np.uint8))


def metal(rng: np.random.Generator) -> Texture:
    """A round pole: bright along one side, dark along the other."""
    shade = np.array([60, 96, 140, 150, 120, 84, 58, 44], np.float32)
    rows = shade[None, :] + rng.normal(0, 5, (64, 8))
    return Texture.of(np.repeat(rows[..., None], 3, axis=2).clip(0, 255).astype(np.uint8))


def person(rng: np.random.Generator) -> tuple[Texture, ...]:
    """WALK_POSES pictures of one pedestrian, 0.9 m wide and 1.8 m high, that make one stride of two steps."""
    skin = SKIN[rng.integers(len(SKIN))]
    coat, trousers = CLOTHES[rng.integers(len(CLOTHES))], CLOTHES[rng.integers(len(CLOTHES))]
    hair = tuple(int(v) for v in rng.integers(20, 90) * np.array([1.0, 0.8, 0.6]))
    bag = rng.random() < 0.4
    seed = int(rng.integers(1 << 30))
    return tuple(_pose(math.tau * k / WALK_POSES, skin, coat, trousers, hair, bag, seed) for k in range(WALK_POSES))


def _pose(
    phase: float, skin: Color, coat: Color, trousers: Color, hair: tuple[int, ...], bag: bool, seed: int
) -> Texture:
    w, h = 60, 120
    rgb: NDArray[np.uint8] = np.zeros((h, w, 3), np.uint8)
    alpha = np.zeros((h, w), np.uint8)
    hip, shoulder = (30, 66), (30, 30)
    dark = tuple(int(0.72 * c) for c in trousers)
    sleeve = tuple(int(0.8 * c) for c in coat)

    def limb(start: tuple[int, int], length: int, angle: float, color: tuple[int, ...], thick: int) -> tuple[int, int]:
        end = (round(start[0] + length * math.sin(angle)), round(start[1] + length * math.cos(angle)))
        cv2.line(rgb, start, end, color, thick)
        cv2.line(alpha, start, end, 255, thick)
        return end

    for side, color in ((-1, dark), (1, trousers)):
        swing = 0.42 * math.sin(phase) * side
        knee = limb(hip, 25, swing, color, 9)
        foot = limb(knee, 23, swing - 0.28 * max(0.0, math.cos(phase) * side), color, 7)
        limb(foot, 5, 1.2, (30, 28, 26), 5)
    arm = 0.5 * math.sin(phase)
    hand = limb(shoulder, 34, arm, sleeve, 6)
    cv2.circle(rgb, hand, 3, skin, -1)
    cv2.circle(alpha, hand, 3, 255, -1)
    torso = np.array([[19, 28], [24, 24], [36, 24], [41, 28], [39, 70], [21, 70]], np.int32)
    cv2.fillPoly(rgb, [torso], coat)
    cv2.fillPoly(alpha, [torso], 255)
    limb(shoulder, 36, -arm, sleeve, 6)
    if bag:
        cv2.rectangle(rgb, (13, 34), (20, 58), dark, -1)
        cv2.rectangle(alpha, (13, 34), (20, 58), 255, -1)
    cv2.ellipse(rgb, (30, 13), (8, 10), 0, 0, 360, skin, -1)
    cv2.ellipse(alpha, (30, 13), (8, 10), 0, 0, 360, 255, -1)
    cv2.ellipse(rgb, (30, 10), (8, 8), 0, 180, 360, hair, -1)
    rgb = grain(np.random.default_rng(seed), rgb, 40)
    # Outside the shape the nearest colour of it, so that smaller versions do not mix in black.
    grown = cv2.dilate(rgb, np.ones((7, 7), np.uint8))
    return Texture.of(np.where(alpha[..., None] > 0, rgb, grown).astype(np.uint8), alpha)


def car_faces(rng: np.random.Generator) -> dict[str, Texture]:
    """The sides of one car: body and cabin, each with `side`, `front`, `back` and `top`, and a `wheel`."""
    paint = np.array(PAINTS[rng.integers(len(PAINTS))], np.float32)

    def sheet(h: int, w: int, light: float) -> NDArray[np.uint8]:
        slope = np.linspace(1.12, 0.78, h, dtype=np.float32)[:, None, None]
        plain = np.clip(paint * slope * light + 6, 0, 255)
        return np.ascontiguousarray(np.broadcast_to(plain, (h, w, 3)).astype(np.uint8))

    def box(rgb: NDArray[np.uint8], x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        h, w = rgb.shape[:2]
        cv2.rectangle(rgb, (int(x0 * w), int(y0 * h)), (int(x1 * w) - 1, int(y1 * h) - 1), color, -1)

    side, front, back = sheet(32, 120, 0.95), sheet(40, 64, 0.82), sheet(40, 64, 0.9)
    for x in (0.36, 0.64):
        cv2.line(side, (int(x * 120), 2), (int(x * 120), 26), tuple(int(0.6 * v) for v in paint), 1)
    box(side, 0, 0.86, 1, 1, (28, 28, 30))
    for sheet_, lamp in ((front, (240, 238, 214)), (back, (188, 24, 26))):
        box(sheet_, 0.04, 0.2, 0.22, 0.46, lamp)
        box(sheet_, 0.78, 0.2, 0.96, 0.46, lamp)
        box(sheet_, 0, 0.78, 1, 1, (34, 34, 36))
        box(sheet_, 0.36, 0.56, 0.64, 0.74, (232, 226, 190))
    box(front, 0.28, 0.24, 0.72, 0.5, (38, 38, 42))
    glass: Color = (52, 62, 74)
    cabin_side, cabin_front, cabin_back = sheet(32, 80, 1.0), sheet(32, 64, 0.9), sheet(32, 64, 0.95)
    for x0, x1 in ((0.05, 0.48), (0.53, 0.95)):
        box(cabin_side, x0, 0.12, x1, 0.92, glass)
        box(cabin_side, x0, 0.12, x1, 0.4, (104, 120, 136))
    for sheet_ in (cabin_front, cabin_back):
        box(sheet_, 0.06, 0.14, 0.94, 0.94, glass)
        box(sheet_, 0.06, 0.14, 0.94, 0.4, (118, 134, 150))
    wheel = np.full((32, 32, 3), 26, np.uint8)
    alpha = np.zeros((32, 32), np.uint8)
    cv2.circle(alpha, (16, 16), 15, 255, -1)
    cv2.circle(wheel, (16, 16), 8, (136, 138, 142), -1)
    for k in range(5):
        end = (round(16 + 8 * math.sin(k * math.tau / 5)), round(16 + 8 * math.cos(k * math.tau / 5)))
        cv2.line(wheel, (16, 16), end, (60, 60, 64), 2)
    return {
        "side": Texture.of(grain(rng, side, 12)),
        "front": Texture.of(grain(rng, front, 12)),
        "back": Texture.of(grain(rng, back, 12)),
        "top": Texture.of(grain(rng, sheet(48, 32, 1.18), 12)),
        "cabin_side": Texture.of(cabin_side),
        "cabin_front": Texture.of(cabin_front),
        "cabin_back": Texture.of(cabin_back),
        "wheel": Texture.of(wheel, alpha),
    }


def traffic_sign(rng: np.random.Generator) -> Texture:
    """A round, three-cornered or square plate."""
    n = 48
    rgb, alpha = np.full((n, n, 3), 235, np.uint8), np.zeros((n, n), np.uint8)
    kind = int(rng.integers(4))
    if kind == 0:  # a ban
        cv2.circle(alpha, (24, 24), 23, 255, -1)
        cv2.circle(rgb, (24, 24), 21, (190, 24, 30), 6)
        cv2.putText(rgb, "30", (11, 31), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2)
    elif kind == 1:  # a warning
        corners = np.array([[24, 2], [46, 44], [2, 44]], np.int32)
        cv2.fillPoly(alpha, [corners], 255)
        cv2.polylines(rgb, [corners], True, (190, 24, 30), 9)
        cv2.line(rgb, (24, 20), (24, 32), (20, 20, 20), 3)
    elif kind == 2:  # an order
        cv2.circle(alpha, (24, 24), 23, 255, -1)
        rgb[:] = (24, 74, 168)
        cv2.arrowedLine(rgb, (24, 38), (24, 10), (240, 240, 240), 5, tipLength=0.4)
    else:  # a notice
        alpha[:] = 255
        rgb[:] = (24, 84, 170)
        cv2.putText(rgb, "P", (13, 37), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (240, 240, 240), 3)
    return Texture.of(rgb, alpha)


def plain(color: Color) -> Texture:
    return Texture.of(np.full((4, 4, 3), color, np.uint8))
