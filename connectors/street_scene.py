"""A rendered drive along a street, with exact masks: our own clip for demos and tests.

A camera on a car, a street that never ends, houses, trees with gaps in their leaves, lamp posts, signs, cars that park,
drive ahead and come towards us, people who walk and cross. Colour and class of a pixel come from the same shape, so the
masks are exact; then the lens blurs, the exposure drifts and the sensor adds noise. Near things pass quickly and
uncover what no earlier frame showed: labels carried along optical flow alone go wrong there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from connectors import street_textures as paint
from connectors.h264_file import h264_file
from connectors.street_camera import NEAR_M, Picture, Texture
from connectors.street_world import BLOCK_M, KERB_M, WALL_M, Car, House, Pole, Tree, Walker, block, traveller
from workspace.files import write_image, write_json
from workspace.mask import MaskArray

CLASSES = ("road", "pavement", "building", "sky", "tree", "pole", "sign", "car", "pedestrian")
ROAD, PAVEMENT, BUILDING, SKY, TREE, POLE, SIGN, CAR, PEDESTRIAN = range(len(CLASSES))
FPS = 15
SPEED_MPS = 6.0
CRF = 12

_VIEW_M = 170.0
_SMALL_VIEW_M = 90.0  # beyond this, people and parked cars are a few pixels and left out
_WHEEL_VIEW_M = 40.0
_HAZE = np.array([186, 196, 206], np.float32)
_TILE_M = 8.0  # the ground's texture repeats after this
_REPEAT_M = 240.0  # and all that is painted on it after this, so that float32 stays exact on a long drive
_ASPHALT = np.array([0.98, 1.0, 1.03], np.float32)
_STONE = np.array([1.03, 0.99, 0.93], np.float32)


def render_street(frames: int, width: int, height: int, seed: int) -> Iterator[tuple[NDArray[np.uint8], MaskArray]]:
    """`frames` pairs of (height, width, 3) uint8 RGB and (height, width) uint8 class indices into CLASSES.

    The same arguments give the same pixels. Memory does not depend on `frames`.
    """
    rng = np.random.default_rng([seed, 1])
    ground = _ground_texture(rng)
    sky = _sky_texture(rng)
    fixtures = {name: paint.plain(color) for name, color in (("hedge", (58, 84, 48)), ("lamp", (232, 230, 214)))}
    noise = rng.normal(0, 1, (height + 64, width + 64, 3)).astype(np.float32)
    vignette = _vignette(width, height)
    phases = rng.uniform(0, math.tau, 6)
    for index in range(frames):
        picture = _draw(index / FPS, width, height, seed, phases, ground, sky, fixtures)
        yield _sensor(picture.rgb, index, phases, vignette, noise, rng), picture.mask


def write_street(
    folder: Path,
    frames: int,
    width: int,
    height: int,
    seed: int,
    beat: Callable[[int, int], None],
    as_frames: bool = False,
) -> None:
    """Render into `folder` in the form that `connectors.measured_folder` reads; meta.json comes last.

    video.mp4 (H.264, so its pixels are near the rendered ones) or, with `as_frames`, lossless frames/000000.png;
    masks/000000.png.  beat: called after each frame with (done, total).  ValueError for a video with an odd side, which
    H.264 would lengthen: the masks would no longer fit.
    """
    if not as_frames and (width % 2 or height % 2):
        raise ValueError(f"a video of {width}x{height} has an odd side")

    def frame_by_frame(show: Callable[[int, NDArray[np.uint8]], None]) -> None:
        for index, (rgb, mask) in enumerate(render_street(frames, width, height, seed)):
            show(index, rgb)
            write_image(folder / "masks" / f"{index:06d}.png", mask)
            beat(index + 1, frames)

    if as_frames:
        frame_by_frame(lambda index, rgb: write_image(folder / "frames" / f"{index:06d}.png", rgb))
    else:
        with h264_file(folder / "video.mp4", FPS, CRF) as write:
            frame_by_frame(lambda _, rgb: write(rgb))
    write_json(
        folder / "meta.json",
        {
            "classes": {str(k): name for k, name in enumerate(CLASSES)},
            "ignore": None,
            "fps": FPS,
            "frames": frames,
            "note": f"rendered street, seed {seed}, exact masks",
        },
    )


def _draw(
    t: float,
    width: int,
    height: int,
    seed: int,
    phases: NDArray[np.float64],
    ground: Texture,
    sky: Texture,
    fixtures: dict[str, Texture],
) -> Picture:
    """The scene at `t` seconds, before the sensor."""
    sway = [math.sin(rate * t + phase) for rate, phase in zip((0.7, 0.43, 2.9, 7.1, 1.3, 0.31), phases, strict=True)]
    camera_z = SPEED_MPS * t + 0.8 * sway[0]
    picture = Picture(
        width,
        height,
        0.92 * width,
        (1.6 + 0.5 * sway[1], 1.5 + 0.03 * sway[2] + 0.012 * sway[3], camera_z),
        0.05 * sway[4] + 0.05 * sway[5],
        0.012 * sway[2] + 0.006 * sway[3] - 0.015,
        0.012 * sway[4],
    )
    _sky_and_ground(picture, ground, sky)
    blocks = [
        block(seed, n)
        for n in range(math.floor(camera_z / BLOCK_M) - 1, math.floor((camera_z + _VIEW_M) / BLOCK_M) + 1)
    ]
    _house_shadows(picture, [h for b in blocks for h in b.houses])
    backdrop: list[tuple[float, Callable[[], None]]] = []
    things: list[tuple[float, Callable[[], None]]] = []

    def add(to: list[tuple[float, Callable[[], None]]], z: float, draw: Callable[[], None], view: float) -> None:
        if NEAR_M < z - camera_z < view:
            to.append((z, draw))

    for b in blocks:
        for house in b.houses:
            if house.z1 > camera_z:
                backdrop.append((house.z0, lambda h=house: _house(picture, h)))  # type: ignore[misc]
        for tree in b.trees:
            behind = abs(tree.x) > WALL_M
            add(backdrop if behind else things, tree.z, lambda o=tree: _tree(picture, o), _VIEW_M)  # type: ignore[misc]
        for pole in b.poles:
            add(things, pole.z, lambda o=pole: _pole(picture, o, fixtures["lamp"]), _VIEW_M)  # type: ignore[misc]
        for walker in b.walkers:
            x, z = _whereabouts(walker, t, camera_z)
            add(things, z, lambda o=walker, x=x, z=z: _walker(picture, o, x, z, t), _SMALL_VIEW_M)  # type: ignore[misc]
    cars = [(car, car.z) for b in blocks for car in b.cars] + _traffic(seed, t, camera_z)
    for car, z in cars:
        if camera_z - car.length < z < camera_z + _SMALL_VIEW_M:
            _car_shadow(picture, car, z)
            things.append((z + car.length / 2, lambda o=car, z=z: _car(picture, o, z)))  # type: ignore[misc]
    for layer in (backdrop, things):
        for _, draw in sorted(layer, key=lambda item: -item[0]):
            draw()
    return picture


def _sky_and_ground(picture: Picture, ground: Texture, sky: Texture) -> None:
    """Fill the whole picture: clouds and a far line of trees above the horizon, road and pavement below."""
    dx, dy, dz = picture.ground_rays()
    forward = np.maximum(dz, np.float32(1e-3))
    slope = dy / forward
    azimuth = np.arctan2(dx, forward)
    tall, wide = sky.levels[0].shape[:2]
    picture.rgb[:] = cv2.remap(
        sky.levels[0],
        (azimuth / 2.4 + 0.5) * wide,
        (1 - np.clip(slope / 0.7, 0, 1)) * (tall - 1),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    picture.mask[:] = SKY
    ridge = 0.035 + 0.012 * np.sin(azimuth * 23) + 0.008 * np.sin(azimuth * 71 + 1)
    far_trees = slope < ridge
    picture.rgb[far_trees] = 0.55 * _HAZE + 0.45 * np.array([64, 88, 60], np.float32)
    picture.mask[far_trees] = TREE
    down = slope < np.float32(-picture.at[1] / _VIEW_M)
    top = int(np.argmax(down.any(axis=1)))  # the rows above it see no ground
    reach = np.asarray(-picture.at[1] / np.minimum(dy[top:], -1e-6), dtype=np.float32)
    x = np.asarray(picture.at[0] + dx[top:] * reach, dtype=np.float32)
    z = np.asarray(picture.at[2] % _REPEAT_M + dz[top:] * reach, dtype=np.float32)
    picture.mask[top:][down[top:]] = np.where(np.abs(x) > KERB_M, PAVEMENT, ROAD)[down[top:]]
    cv2.copyTo(_ground_color(x, z, ground, reach), down[top:].view(np.uint8), picture.rgb[top:])


def _ground_color(
    x: NDArray[np.float32], z: NDArray[np.float32], ground: Texture, reach: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(h, w, 3): asphalt with lane marks and patches, slabs beyond the kerb, paler with distance."""
    f = np.float32
    texels = ground.levels[0].shape[0]
    scale = f(texels / _TILE_M)
    grain = cv2.remap(ground.levels[0][..., 0], x * scale, z * scale, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    sharp = np.minimum(f(14) / reach, f(1))  # far grain averages out
    tone = (grain.astype(f) - f(128)) * sharp
    side = np.abs(x)
    slabs = side > f(KERB_M)
    patches = 10 * np.sin(f(math.tau / 30) * z + f(0.5) * x) * np.sin(f(math.tau / 48) * z)  # old and new asphalt
    tracks = np.abs(side - f(1.6)) < f(0.35)
    tone += np.where(slabs, f(146), f(92) + patches - f(8) * tracks)
    z6 = np.mod(z, f(6))
    marks = ((side < f(0.08)) & (z6 < f(3))) | (np.abs(side - f(KERB_M - 2.05)) < f(0.05))
    crossing = (np.mod(z, f(60)) < f(3.2)) & (np.mod(x, f(1)) < f(0.5)) & (side < f(KERB_M - 0.4))
    tone = np.where(marks | crossing, f(0.35) * tone + f(0.65 * 222), tone)
    joints = slabs & ((np.mod(side - f(KERB_M), f(0.8)) < f(0.05)) | (np.mod(z6, f(0.75)) < f(0.05)))
    tone -= f(26) * sharp * joints
    tone += f(24) * (np.abs(side - f(KERB_M + 0.1)) < f(0.1))  # the kerb stone
    haze = np.minimum(reach / f(220), f(0.7))
    color = np.where(slabs[..., None], tone[..., None] * _STONE, tone[..., None] * _ASPHALT)
    return np.asarray(color * (1 - haze[..., None]) + _HAZE * haze[..., None], dtype=f)


def _house_shadows(picture: Picture, houses: list[House]) -> None:
    """The sun stands to the left: houses there shade the ground to their right."""
    for house in houses:
        if house.side < 0:
            picture.darken(
                (-WALL_M, 0, house.z0), (0.55 * house.height, 0, 1.5), (0, 0, house.z1 - house.z0), 0.62, soft=False
            )


def _light(picture: Picture, x: float, z: float) -> float:
    """How bright a thing at this place is: contrast falls with distance."""
    return 1.0 - 0.15 * min(1.0, max(0.0, picture.depth_of((x, 1.0, z)) / _VIEW_M))


def _house(picture: Picture, house: House) -> None:
    x = house.side * WALL_M
    shade = 0.82 if house.side < 0 else 1.06  # the left row turns its back to the sun
    light = shade * _light(picture, x, house.z0)
    # The gable that looks at us, then the street front.
    outward = (8.0 * house.side, 0.0, 0.0)
    picture.quad((x, house.height, house.z0), outward, (0, -house.height, 0), house.gable, BUILDING, 0.7 * light)
    along = (0.0, 0.0, house.z1 - house.z0)
    picture.quad((x, house.height, house.z0), along, (0, -house.height, 0), house.front, BUILDING, light)


def _tree(picture: Picture, tree: Tree) -> None:
    light = _light(picture, tree.x, tree.z)
    picture.darken(
        (tree.x - tree.crown, 0, tree.z - tree.crown),
        (2 * tree.crown + 2, 0, 0),
        (0, 0, 2 * tree.crown),
        0.6,
        soft=True,
    )
    picture.quad((tree.x - 0.14, tree.trunk, tree.z), (0.28, 0, 0), (0, -tree.trunk, 0), tree.bark, TREE, light)
    size = 2.6 * tree.crown
    picture.quad(
        (tree.x - size / 2, tree.trunk + 0.62 * size, tree.z), (size, 0, 0), (0, -size, 0), tree.leaves, TREE, light
    )


def _pole(picture: Picture, pole: Pole, lamp: Texture) -> None:
    picture.quad(
        (pole.x - pole.width / 2, pole.height, pole.z), (pole.width, 0, 0), (0, -pole.height, 0), pole.metal, POLE
    )
    if pole.arm:
        picture.quad((pole.x, pole.height, pole.z), (pole.arm, 0.25, 0), (0, -0.1, 0), pole.metal, POLE)
        end = pole.x + 0.75 * pole.arm
        picture.quad((end, pole.height + 0.22, pole.z), (0.35 * pole.arm, 0, 0), (0, -0.14, 0), lamp, POLE)
    if pole.plate is not None:
        picture.quad((pole.x - 0.36, pole.height, pole.z - 0.06), (0.72, 0, 0), (0, -0.72, 0), pole.plate, SIGN)


def _traffic(seed: int, t: float, camera_z: float) -> list[tuple[Car, float]]:
    """The cars that drive, with where their rear bumpers are now: one or two ahead of us, and a stream towards us."""
    ahead = [(traveller(seed, n, False), camera_z + 15 + 24 * n + 5 * math.sin(0.5 * t + 2 * n)) for n in range(2)]
    spacing, closing = 34.0, 9.0
    first = math.floor((camera_z - 10 + closing * t) / spacing)
    towards = [(traveller(seed, n, True), spacing * n - closing * t + 3 * math.sin(n)) for n in range(first, first + 5)]
    return ahead + towards


def _car_shadow(picture: Picture, car: Car, z: float) -> None:
    picture.darken((car.x - 1.05, 0, z - 0.25), (2.5, 0, 0), (0, 0, car.length + 0.5), 0.3, soft=True)


def _car(picture: Picture, car: Car, z: float) -> None:
    """Two boxes and four wheels; only the faces that look at the camera are drawn."""
    half, low, belt, length = 0.86, 0.28, 0.88, car.length
    side = 1.0 if picture.at[0] > car.x else -1.0
    oncoming = car.speed < 0
    near, name = (z, "back") if not oncoming else (z, "front")
    if picture.at[2] > z + length:
        return
    faces = car.faces
    wheel = 0.62
    close = z - picture.at[2] < _WHEEL_VIEW_M
    x = car.x + side * half
    picture.quad((x, belt, z), (0, 0, length), (0, low - belt, 0), faces["side"], CAR)
    for start in (0.14 * length, 0.72 * length) if close else ():
        picture.quad((x, wheel, z + start), (0, 0, wheel), (0, -wheel, 0), faces["wheel"], CAR)
    picture.quad((car.x - half, belt, z), (2 * half, 0, 0), (0, 0, length), faces["top"], CAR)
    for left in (-half + 0.05, half - 0.3) if close else ():
        picture.quad((car.x + left, low + 0.05, near + 0.02), (0.25, 0, 0), (0, -low, 0), _TYRE, CAR)
    picture.quad((car.x - half, belt, near), (2 * half, 0, 0), (0, low - belt, 0), faces[name], CAR)
    _cabin(picture, car, z, side, name)


def _cabin(picture: Picture, car: Car, z: float, side: float, name: str) -> None:
    low, top, half = 0.88, car.height, 0.8
    start, end = (0.3, 0.94) if car.speed < 0 else (0.06, 0.7)
    lean = 0.12 * car.length  # the windscreens are slanted
    z0, z1 = z + start * car.length, z + end * car.length
    x = car.x + side * half
    picture.quad(
        (x - side * 0.08, top, z0 + 0.2 * lean),
        (0, 0, z1 - z0 - 0.4 * lean),
        (side * 0.08, low - top, 0),
        car.faces["cabin_side"],
        CAR,
    )
    picture.quad((car.x - half, top, z0 + lean), (2 * half, 0, 0), (0, 0, z1 - z0 - 2 * lean), car.faces["top"], CAR)
    picture.quad(
        (car.x - half + 0.05, top, z0 + lean),
        (2 * half - 0.1, 0, 0),
        (0, low - top, -lean),
        car.faces[f"cabin_{name}"],
        CAR,
    )


_TYRE = paint.plain((24, 24, 26))


def _whereabouts(walker: Walker, t: float, camera_z: float) -> tuple[float, float]:
    """x and z of a pedestrian at time `t`."""
    if not walker.crosses:
        stroll = (walker.phase + t * abs(walker.speed) / 16) % 1.0  # 8 m there and 8 m back
        return walker.x, walker.z + (abs(2 * stroll - 1) - 0.5) * 8.0 * math.copysign(1, walker.speed)
    # Steps onto the road when we are 34 m away and is across when we are 8 m away: nobody is run over.
    share = min(1.0, max(0.0, (34 - (walker.z - camera_z)) / 26))
    return math.copysign(1, walker.speed) * (2 * share - 1) * (KERB_M + 1.4), walker.z


def _walker(picture: Picture, walker: Walker, x: float, z: float, t: float) -> None:
    steps = walker.phase + 0.9 * abs(walker.speed) * t
    pose = walker.poses[math.floor(steps * paint.WALK_POSES) % paint.WALK_POSES]
    picture.darken((x - 0.4, 0, z - 0.25), (1.5, 0, 0), (0, 0, 0.5), 0.55, soft=True)
    picture.quad((x - 0.45, 1.78, z), (0.9, 0, 0), (0, -1.8, 0), pose, PEDESTRIAN)


def _sensor(
    rgb: NDArray[np.float32],
    index: int,
    phases: NDArray[np.float64],
    vignette: NDArray[np.float32],
    noise: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Lens blur, vignette, drifting exposure and white balance, shot noise."""
    h, w = rgb.shape[:2]
    t = index / FPS
    gain = 1.0 + 0.10 * math.sin(0.9 * t + phases[0]) + 0.05 * math.sin(2.3 * t + phases[1])
    warm = 0.02 * math.sin(0.5 * t + phases[2])
    tint = np.array([1 + warm, 1.0, 1 - warm], np.float32) * np.float32(gain)
    seen = cv2.GaussianBlur(rgb, (0, 0), 0.6) * vignette * tint
    y, x = rng.integers(0, 64, 2)
    seen += noise[y : y + h, x : x + w] * (2.0 + 0.12 * np.sqrt(np.maximum(seen, 0)))
    return np.asarray(np.clip(seen, 0, 255), dtype=np.uint8)


def _vignette(width: int, height: int) -> NDArray[np.float32]:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    return np.asarray((1 - 0.08 * (x * x + y * y))[..., None], dtype=np.float32)


def _ground_texture(rng: np.random.Generator) -> Texture:
    rough = 128 + 46 * (paint.clouds(rng, 512, 512, 6, 5) - 0.5) + 15 * rng.standard_normal((512, 512))
    return Texture.of(np.repeat(rough[..., None], 3, axis=2).clip(0, 255).astype(np.uint8))


def _sky_texture(rng: np.random.Generator) -> Texture:
    high = np.linspace(1, 0, 256, dtype=np.float32)[:, None, None]
    blue = np.array([104, 152, 208], np.float32) * high + np.array([202, 214, 224], np.float32) * (1 - high)
    cover = np.clip(2.2 * paint.clouds(rng, 256, 1024, 5, 5) - 1.0, 0, 1)[..., None]
    return Texture.of((blue * (1 - cover) + 236 * cover).clip(0, 255).astype(np.uint8))
