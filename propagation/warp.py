"""Labels that travel along optical flow: for each pixel, which labeled pixel it is, and how sure that is.

The track composes flow from frame to frame but reads the label only at the end, at the source, so that class boundaries
are not resampled once per frame (that would round thin things away).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from propagation.flow import log_agreement, target_position
from propagation.side_by_side import in_turn
from propagation.sources import FlowSource
from workspace.mask import UNKNOWN, MaskArray

_FRAME, _Y, _X, _LOG_RELIABILITY = range(4)
_NOWHERE = -1.0
_STEPS_AHEAD = 3
_FEW = 8  # an eighth of the pixels: fetched one by one, they take as long as all
_REMEMBERED_BYTES = 128 * 2**20
_LOG_RELIABILITY_FLOOR = -8.0
_OCCLUDED = -1.0  # log agreement, see `flow.log_agreement`
_LEAST_SHARE_SEEN = 0.2  # of the pixels; measured: at least 0.77 within a scene, at most 0.05 across a cut
_NOTHING_ARRIVED = (255, 0, 255)  # packed: reliability, distance and residual where no label arrives
_DISTANCE_STEPS = 16.0  # a stored distance is 16 log2(1 + frames): 255 is over 60,000 frames


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Where each pixel of one frame comes from: its last source on the way, and the one before that.

    Two sources tell more than one: people draw a boundary a little differently in each frame, and the older source may
    have escaped an occlusion.
    states: two of (H, W, 4) float32: source frame (-1: none), y and x in it in pixels, log of the reliability (<= 0)
    """

    states: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def empty(self) -> bool:
        return not bool((self.states[0][..., _FRAME] >= 0).any())


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """The labels that reach one frame along one track, from one source each.

    classes: (H, W) uint8, 255 where no label arrives;  log_reliability: (H, W) float32 in [-8, 0]
    distance: (H, W) float32, frames travelled;  residual: (H, W) float32 in [0, 1], absolute difference in colour (as
    luma weighs it) between here and the source
    Where no label arrives the last three are -8, 0 and 1.
    """

    classes: MaskArray
    log_reliability: NDArray[np.float32]
    distance: NDArray[np.float32]
    residual: NDArray[np.float32]


def no_track(height: int, width: int) -> Track:
    state = np.zeros((height, width, 4), np.float32)
    state[..., _FRAME] = _NOWHERE
    return Track((state, state))


def follow(track: Track, flow: NDArray[np.float32], agreement: NDArray[np.float32]) -> Track:
    """The track of the next frame.

    track: of the frame before (or after, in the other direction);  flow: (H, W, 2) from this frame to that one;
    agreement: (H, W) log agreement of that flow. What falls between pixels is kept: the nearest pixel's source plus the
    remainder, exact for translations.
    """
    x, y = target_position(flow)
    column, row = np.rint(x), np.rint(y)
    first, second = (_followed(state, x, y, column, row, agreement) for state in track.states)
    return Track((first, second))


def _followed(
    state: NDArray[np.float32],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    column: NDArray[np.float32],
    row: NDArray[np.float32],
    agreement: NDArray[np.float32],
) -> NDArray[np.float32]:
    if not (state[..., _FRAME] >= 0).any():
        return state
    moved = cv2.remap(
        state,
        column,
        row,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,  # from outside the frame: the pixel at its edge, of low reliability
    )
    moved[..., _Y] += y - row
    moved[..., _X] += x - column
    moved[..., _LOG_RELIABILITY] = np.maximum(moved[..., _LOG_RELIABILITY] + agreement, _LOG_RELIABILITY_FLOOR)
    return np.asarray(moved, np.float32)


def restart(track: Track, index: int, labeled: NDArray[np.bool_]) -> Track:
    """The track in which the `labeled` (H, W) pixels of frame `index` are their own source; the old one is second."""
    height, width = labeled.shape
    own = np.empty((height, width, 4), np.float32)
    own[..., _FRAME] = index
    own[..., _Y] = np.arange(height, dtype=np.float32)[:, None]
    own[..., _X] = np.arange(width, dtype=np.float32)[None, :]
    own[..., _LOG_RELIABILITY] = 0.0
    here = labeled[..., None]
    return Track((np.where(here, own, track.states[0]), np.where(here, track.states[0], track.states[1])))


def source_frames(track: Track) -> NDArray[np.int32]:
    """(H, W) int32: the frame that each pixel's last label comes from, -1 for none."""
    return track.states[0][..., _FRAME].astype(np.int32)


def read(
    track: Track,
    index: int,
    image: NDArray[np.uint8],
    label_of: Callable[[int], MaskArray],
    image_of: Callable[[int], NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    """The labels that a track brings to frame `index`, from the last source and from the one before, for `unpack`.

    image: (H, W, 3) of the frame;  label_of, image_of: the mask and the image of a source frame
    returns: (2, 4, H, W) uint8, a quarter of the size of the arrivals: what one pass over the video leaves to another
    """
    colour = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    return np.stack([_read(state, index, colour, label_of, image_of) for state in track.states])


def _read(
    state: NDArray[np.float32],
    index: int,
    image: NDArray[np.uint8],
    label_of: Callable[[int], MaskArray],
    image_of: Callable[[int], NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    """image: (H, W, 4) uint8, so that a pixel's colours can be fetched as one number"""
    height, width = state.shape[:2]
    planes = cv2.split(state)
    source = planes[_FRAME].astype(np.int32)
    pixels = np.bincount(source.reshape(-1) + 1)[1:]
    frames = np.flatnonzero(pixels)
    packed = np.empty((4, height, width), np.uint8)
    packed[0] = UNKNOWN
    if not len(frames):
        packed[1:] = [[[value]] for value in _NOTHING_ARRIVED]
        return packed
    row = np.rint(planes[_Y]).clip(0, height - 1).astype(np.int32)
    column = np.rint(planes[_X]).clip(0, width - 1).astype(np.int32)
    at = row * np.int32(width) + column
    fetched = image.view(np.uint32)[..., 0].copy()
    for frame in frames:
        label, there = label_of(int(frame)).reshape(-1), image_of(int(frame))
        here = source == frame
        if pixels[frame] * _FEW < here.size:  # what earlier labels left open: many sources of a few pixels each
            few = np.flatnonzero(here)
            origin = at.reshape(-1)[few]
            packed[0].reshape(-1)[few] = label[origin]
            fetched.reshape(-1).view(np.uint8).reshape(-1, 4)[few, :3] = there.reshape(-1, 3)[origin]
            continue
        np.copyto(packed[0], label[at], where=here)
        np.copyto(fetched, cv2.cvtColor(there, cv2.COLOR_RGB2RGBA).view(np.uint32).reshape(-1)[at], where=here)
    away = np.abs(np.arange(-1, frames[-1] + 1) - index).clip(0, len(_DISTANCE_STEP_OF) - 1)
    packed[1] = cv2.convertScaleAbs(planes[_LOG_RELIABILITY], alpha=255 / _LOG_RELIABILITY_FLOOR)
    packed[2] = _DISTANCE_STEP_OF[away][source + 1]
    colours = fetched.view(np.uint8).reshape(height, width, 4)
    packed[3] = cv2.cvtColor(cv2.absdiff(image, colours), cv2.COLOR_RGBA2GRAY)
    unknown = packed[0] == UNKNOWN
    if unknown.any():
        for plane, value in zip(packed[1:], _NOTHING_ARRIVED, strict=True):
            plane[unknown] = value
    return packed


def unpack(packed: NDArray[np.uint8]) -> tuple[Arrival, Arrival]:
    """The arrivals of (2, 4, H, W) uint8: classes as they are, the rest to within half a step."""
    first, second = (Arrival(p[0], LOG_RELIABILITY_OF[p[1]], DISTANCE_OF[p[2]], RESIDUAL_OF[p[3]]) for p in packed)
    return first, second


_STEPS = np.arange(256, dtype=np.float32)  # what a byte of `read` stands for
LOG_RELIABILITY_OF = _STEPS * np.float32(_LOG_RELIABILITY_FLOOR / 255)
DISTANCE_OF = np.exp2(_STEPS / np.float32(_DISTANCE_STEPS)) - 1
RESIDUAL_OF = _STEPS / np.float32(255)
_DISTANCE_STEP_OF = np.rint(_DISTANCE_STEPS * np.log2(1 + np.arange(60_000.0))).clip(0, 255).astype(np.uint8)


def is_cut(agreement: NDArray[np.float32]) -> bool:
    """Whether two frames show different scenes: next to nothing of one is found in the other.

    agreement: (H, W), log agreement of the flow between them. A camera that is thrown about may look like a cut too;
    labels that came along such flow would be worth nothing anyway.
    """
    return bool((agreement > _OCCLUDED).mean() < _LEAST_SHARE_SEEN)


def travel(
    order: Iterable[int],
    labels: Mapping[int, MaskArray],
    flow: FlowSource,
    shape: tuple[int, int],
    pool: Executor | None = None,
) -> Iterator[tuple[int, Track, Track]]:
    """Carry labels along consecutive frames: yields (index, the track that arrives, the track that goes on).

    order: frame indices, each one step from the last, rising (labels from earlier frames) or falling (from later ones).
    The two tracks differ on labeled frames only: what goes on there starts at the labeled pixels; what arrives does not
    know them, which is what a learner needs to see how far warped labels are from the truth. Nothing crosses a cut.
    pool: flow is read and judged there, some frames ahead.
    """

    def step(pair: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        before, index = pair
        there = flow(index, before)
        return there, log_agreement(there, flow(before, index))

    path = list(order)
    begin = next((place for place, index in enumerate(path) if index in labels), len(path))
    steps = in_turn(step, pairwise(path[begin:]), pool, _STEPS_AHEAD)  # before the first label there is no track
    track = no_track(*shape)
    for place, index in enumerate(path):
        if place > begin:
            there, agreement = next(steps)
            if not track.empty:
                track = no_track(*shape) if is_cut(agreement) else follow(track, there, agreement)
        arriving = track
        if index in labels:
            track = restart(track, index, labels[index] != UNKNOWN)
        yield index, arriving, track


def remembering(of: Callable[[int], NDArray[np.uint8]], bytes_each: int) -> Callable[[int], NDArray[np.uint8]]:
    """`of` with its last answers kept, as many as fit into 128 MiB (at least two); one thread at a time asks it."""
    lock = Lock()

    @lru_cache(maxsize=max(2, _REMEMBERED_BYTES // max(1, bytes_each)))
    def remembered(index: int) -> NDArray[np.uint8]:
        return of(index)

    def alone(index: int) -> NDArray[np.uint8]:
        with lock:
            return remembered(index)

    return alone
