"""What stands where along the rendered street: made block by block from the seed, so that the street never ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from connectors import street_textures as paint
from connectors.street_camera import Texture

BLOCK_M = 24.0  # length of the piece of street that is made at once
KERB_M = 5.2  # half the width of the road
WALL_M = 9.0  # from the middle to the houses
_KEPT_BLOCKS = 12  # held in memory, some 3 MB each; 9 are in view


@dataclass(frozen=True, slots=True, eq=False)
class House:
    side: int  # -1 left, 1 right
    z0: float
    z1: float
    height: float
    front: Texture
    gable: Texture


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    x: float
    z: float
    trunk: float  # height of the crown's middle
    crown: float  # its radius
    leaves: Texture
    bark: Texture


@dataclass(frozen=True, slots=True, eq=False)
class Pole:
    """A lamp post (`arm` towards the road), or the post of a `plate`."""

    x: float
    z: float
    height: float
    width: float
    arm: float
    metal: Texture
    plate: Texture | None


@dataclass(frozen=True, slots=True, eq=False)
class Car:
    x: float
    z: float
    speed: float  # along z, m/s; negative comes towards us
    faces: dict[str, Texture]
    length: float
    height: float


@dataclass(frozen=True, slots=True, eq=False)
class Walker:
    """On the pavement to and fro, or (`crosses`) over the road while the camera comes near."""

    x: float
    z: float
    speed: float
    phase: float
    crosses: bool
    poses: tuple[Texture, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    houses: tuple[House, ...]
    trees: tuple[Tree, ...]
    poles: tuple[Pole, ...]
    cars: tuple[Car, ...]
    walkers: tuple[Walker, ...]


@lru_cache(maxsize=_KEPT_BLOCKS)
def block(seed: int, number: int) -> Block:
    """Everything fixed to metres `number` * BLOCK_M and the BLOCK_M after; the same for the same arguments."""
    rng = np.random.default_rng([seed, number + (1 << 20)])
    z = number * BLOCK_M
    houses: list[House] = []
    trees: list[Tree] = []
    for side in (-1, 1):
        cut = float(rng.uniform(8, 15))
        for z0, z1 in ((0.0, cut), (cut, BLOCK_M)):
            gap = float(rng.uniform(1.5, 6)) if rng.random() < 0.45 else 0.0
            height = float(rng.uniform(6, 14))
            houses.append(
                House(
                    side,
                    z + z0,
                    z + z1 - gap,
                    height,
                    paint.facade(rng, z1 - z0 - gap, height),
                    paint.facade(rng, 8.0, height),
                )
            )
            if gap > 2.5:
                trees.append(_tree(rng, side * (WALL_M + 2.0), z + z1 - gap / 2))
        for offset in rng.uniform(0, BLOCK_M, 2):
            if rng.random() < 0.55:
                trees.append(_tree(rng, side * (KERB_M + 1.0), z + float(offset)))
    return Block(tuple(houses), tuple(trees), _poles(rng, z), _parked(rng, z), _walkers(rng, z))


@lru_cache(maxsize=64)
def traveller(seed: int, number: int, oncoming: bool) -> Car:
    """The `number`-th car that drives, in our direction or towards us; its z is where it is at time 0."""
    rng = np.random.default_rng([seed, number + (1 << 20), 7 + int(oncoming)])
    x = -KERB_M / 2 + 0.9 if oncoming else KERB_M / 2 - 0.9
    speed = -float(rng.uniform(8.5, 9.5)) if oncoming else 8.0
    return Car(x, 0.0, speed, paint.car_faces(rng), float(rng.uniform(3.8, 4.7)), float(rng.uniform(1.4, 1.75)))


def _tree(rng: np.random.Generator, x: float, z: float) -> Tree:
    crown = float(rng.uniform(1.5, 2.4))
    return Tree(x, z, float(rng.uniform(3.2, 4.4)), crown, paint.foliage(rng), paint.bark(rng))


def _poles(rng: np.random.Generator, z: float) -> tuple[Pole, ...]:
    poles = []
    for side in (-1, 1):
        x = side * (KERB_M + 0.45)
        poles.append(Pole(x, z + float(rng.uniform(0, 8)), 6.5, 0.16, -side * 1.8, paint.metal(rng), None))
        for _ in range(int(rng.integers(0, 3))):
            at, height = z + float(rng.uniform(6, BLOCK_M)), float(rng.uniform(2.4, 3.0))
            poles.append(Pole(x + side * 0.2, at, height, 0.1, 0.0, paint.metal(rng), paint.traffic_sign(rng)))
    return tuple(poles)


def _parked(rng: np.random.Generator, z: float) -> tuple[Car, ...]:
    cars = []
    for side in (-1, 1):
        for slot in range(4):
            if rng.random() < 0.42:
                at = z + slot * 6.0 + float(rng.uniform(0.5, 1.2))
                cars.append(
                    Car(
                        side * (KERB_M - 1.0),
                        at,
                        0.0,
                        paint.car_faces(rng),
                        float(rng.uniform(3.8, 4.6)),
                        float(rng.uniform(1.4, 1.8)),
                    )
                )
    return tuple(cars)


def _walkers(rng: np.random.Generator, z: float) -> tuple[Walker, ...]:
    walkers = []
    for _ in range(int(rng.integers(1, 5))):
        side = int(rng.choice([-1, 1]))
        walkers.append(
            Walker(
                side * float(rng.uniform(KERB_M + 1.6, WALL_M - 0.7)),
                z + float(rng.uniform(0, BLOCK_M)),
                float(rng.uniform(1.0, 1.6)) * int(rng.choice([-1, 1])),
                float(rng.uniform(0, 1)),
                False,
                paint.person(rng),
            )
        )
    if rng.random() < 0.6:
        speed = float(rng.uniform(1.1, 1.7)) * int(rng.choice([-1, 1]))
        walkers.append(Walker(0.0, z + float(rng.uniform(2, 22)), speed, float(rng.random()), True, paint.person(rng)))
    return tuple(walkers)
