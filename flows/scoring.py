"""What each sample of a video is worth and costs, frame by frame: nothing here holds the maps of a whole video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flows.context import Context
from flows.frame_files import FlowFiles, ScratchFiles
from flows.learning import read_probabilities
from flows.superpixel_files import frame_superpixels, superpixel_ids
from propagation.flow import coarse
from selection.expected_clicks import outlines
from selection.expected_error import carried, expected_error, mendable
from selection.granularity import SUPERPIXEL, patch_shape
from selection.patches import patch_sums
from selection.scoring import FrameMaps, Scores, at_pixels, score_frame, score_patches, score_superpixels
from selection.uncertainty import class_weights, entropy
from workspace.files import read_mask
from workspace.sample import Granularity, Sample
from workspace.video import Video

Beat = Callable[[float], None]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFrame:
    """The samples of one frame that have something left to ask.

    scores: of these;  superpixel: the segmentation's fingerprint and (P,) ids in it, if these are superpixels;
    whole: the only sample is the frame itself;  mend: the share of
    the frame's error that a label in the next frame would mend
    """

    frame: int
    scores: Scores
    superpixel: tuple[str, NDArray[np.int64]] | None = None
    whole: bool = False
    mend: float = 1.0

    def only(self, rows: NDArray[np.int64]) -> ScoredFrame:
        """Some of the samples."""
        s = self.scores
        kept = Scores(s.box[rows], s.gain[rows], s.uncertainty[rows], s.motion[rows], s.cost[rows], s.open[rows])
        ids = None if self.superpixel is None else (self.superpixel[0], self.superpixel[1][rows])
        return replace(self, scores=kept, superpixel=ids)

    def sample(self, row: int) -> Sample:
        if self.superpixel is not None:
            return Sample(self.frame, superpixel=(self.superpixel[0], int(self.superpixel[1][row])))
        if self.whole:
            return Sample(self.frame)
        y, x, height, width = (int(side) for side in self.scores.box[row])
        return Sample(self.frame, box=(y, x, height, width))


def open_pixels(context: Context, video: Video, asked: Sequence[Sample]) -> NDArray[np.bool_]:
    """(H, W) bool, what none of the `asked` samples of one frame reaches, whether they were answered or not."""
    left = np.ones((video.height, video.width), bool)
    for sample in asked:
        if sample.box is not None:
            y, x, height, width = sample.box
            left[y : y + height, x : x + width] = False
        else:
            left &= ~sample.region(video.height, video.width, superpixel_ids(context, video, sample))
    return left


def scored_frames(
    context: Context,
    video: Video,
    model: str,
    asked: dict[int, list[Sample]],
    granularities: Sequence[str],
    flow: FlowFiles,
    scratch: ScratchFiles,
    beat: Beat,
) -> Iterator[dict[str, ScoredFrame]]:
    """Frame by frame, the open samples of each granularity.

    model: whose masks and probabilities are judged;  asked: per frame, the samples ever asked
    Three passes: how wrong each frame is expected to be; from the end, which leaves in `scratch` what a label mends in
    later frames; then from the beginning.
    """
    stride = context.config.propagation.probability_stride
    pixels = _class_pixels(context, video, model)
    # an error weighs as in mIoU, by one over the size of its class; uncertainty only leans towards rare classes
    mean_iou_weight, weight = class_weights(pixels, power=1.0), class_weights(pixels)
    last = video.frames - 1
    per_pixel = np.full(video.frames, np.nan)
    for frame in range(video.frames):
        probability, doubt = read_probabilities(context.layout, video.id, model, frame)
        share = _open_share(open_pixels(context, video, asked.get(frame, [])), stride)
        error = expected_error(probability, doubt, mean_iou_weight) * share
        scratch.put(f"error-{frame:06d}", np.stack([error, share]))
        if share.any():
            per_pixel[frame] = error.sum() / share.sum()
        beat(0.2 * (frame + 1) / video.frames)
    whole = [f for f, samples in asked.items() if any(s.granularity is Granularity.FRAME for s in samples)]
    mend = mendable(per_pixel, np.array(sorted(whole), np.int64))
    there = np.zeros(0, np.float32)
    for frame in range(last, -1, -1):
        error, share = (np.asarray(part, np.float32) for part in scratch.get(f"error-{frame:06d}"))
        later = np.zeros_like(error) if frame == last else _carried(flow, frame, frame + 1, there, stride)
        scratch.put(f"later-{frame:06d}", later)
        there = mend[frame] * error + later * share
        beat(0.2 + 0.3 * (last - frame + 1) / video.frames)
    for frame in range(video.frames):
        error, share = (np.asarray(part, np.float32) for part in scratch.get(f"error-{frame:06d}"))
        later = np.asarray(scratch.get(f"later-{frame:06d}"), np.float32)
        earlier = np.zeros_like(error) if frame == 0 else _carried(flow, frame, frame - 1, there, stride)
        there = mend[frame] * error + earlier * share
        probability, doubt = read_probabilities(context.layout, video.id, model, frame)
        uncertainty = entropy(probability) * weight[probability.argmax(axis=0)]
        # what is open within a cell is where its error lies; a pixel of it then has more than the cell's average
        gain = error / np.maximum(share, 1e-6) + later + earlier
        motion = _motion(flow, frame, last, stride) if last else np.zeros((2, *error.shape), np.float32)
        maps = FrameMaps(
            open_pixels(context, video, asked.get(frame, [])),
            at_pixels(gain, stride, video.height, video.width),
            at_pixels(uncertainty, stride, video.height, video.width),
            at_pixels(doubt, stride, video.height, video.width),
            np.stack([at_pixels(part, stride, video.height, video.width) for part in motion]),
            outlines(read_mask(context.layout.masks(video.id, model) / f"{frame:06d}.png")),
        )
        samples = {name: _open_samples(context, video, frame, name, maps) for name in granularities}
        yield {name: replace(scored, mend=float(mend[frame])) for name, scored in samples.items()}
        beat(0.5 + 0.5 * (frame + 1) / video.frames)


def _open_samples(context: Context, video: Video, frame: int, granularity: str, maps: FrameMaps) -> ScoredFrame:
    shape = patch_shape(granularity)
    if granularity == SUPERPIXEL:
        regions = frame_superpixels(context, video, frame)
        ids = regions.fingerprint, np.arange(regions.count, dtype=np.int64)
        every = ScoredFrame(frame, score_superpixels(maps, regions), ids)
    elif shape is not None:
        every = ScoredFrame(frame, score_patches(maps, *shape))
    else:
        every = ScoredFrame(frame, score_frame(maps), whole=True)
    # a sample that was asked before has no open pixel left, so it is none of these
    return every.only(np.flatnonzero(every.scores.open > 0))


def _carried(
    flow: FlowFiles, frame: int, neighbour: int, there: NDArray[np.float32], stride: int
) -> NDArray[np.float32]:
    return carried(there, *coarse(flow(frame, neighbour), flow(neighbour, frame), stride))


def _motion(flow: FlowFiles, frame: int, last: int, stride: int) -> NDArray[np.float32]:
    """(2, h, w) float32, y, x in pixels per frame: the mean of the way to the frame after and from the frame before."""
    ways = [flow(frame, frame + 1)] if frame < last else []
    ways += [-flow(frame, frame - 1)] if frame > 0 else []
    mean = sum(way[::stride, ::stride, ::-1].transpose(2, 0, 1) for way in ways) / len(ways)
    return np.asarray(mean, np.float32)


def _open_share(left: NDArray[np.bool_], stride: int) -> NDArray[np.float32]:
    """Share of open pixels of each cell."""
    rows, columns = (-(-side // stride) for side in left.shape)
    full = patch_sums(np.ones(left.shape, np.uint8), stride, stride)
    return (patch_sums(left, stride, stride) / full).reshape(rows, columns).astype(np.float32)


def _class_pixels(context: Context, video: Video, model: str) -> NDArray[np.int64]:
    """(K,) predicted pixels of each class, in the whole video."""
    classes = len(context.config.project.classes)
    counts = np.zeros(classes, np.int64)
    for frame in range(video.frames):
        mask = read_mask(context.layout.masks(video.id, model) / f"{frame:06d}.png")
        counts += np.bincount(mask.ravel(), minlength=256)[:classes]
    return counts
