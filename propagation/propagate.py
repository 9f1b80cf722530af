"""Masks for all frames, from the labels of some."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagation.bands import decide
from propagation.canvas import canvas
from propagation.devices import torch_device
from propagation.fit import fit
from propagation.model import from_bytes
from propagation.segmenters import features
from propagation.side_by_side import in_turn, workers_for
from propagation.sources import FlowSource, FrameSource
from propagation.warp import Track, read, remembering, travel
from propagation.window import OpinionWindow
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.mask import UNKNOWN, MaskArray

__all__ = ["FramePrediction", "Scratch", "fit", "propagate"]


@dataclass(frozen=True, slots=True, eq=False)
class FramePrediction:
    """What we believe about one frame.

    mask: (H, W) uint8 class ids; the people's pixels are in it as they gave them
    probabilities: (K, ceil(H/s), ceil(W/s)) float16, s = settings.probability_stride, averages over s by s pixels
    doubt: (ceil(H/s), ceil(W/s)) float16, average of 1 - highest probability; where two classes meet within a cell
    it is far below what the averaged probabilities suggest
    warped_mask: (H, W) uint8, by flow alone: the baseline; class 0 where no label arrives
    confusion: (K, K) float64, pixels expected of each class (rows) where each class (columns) is in the mask; the
    sum over all frames is what `estimate.estimated_miou` wants
    """

    index: int
    mask: MaskArray
    probabilities: NDArray[np.float16]
    doubt: NDArray[np.float16]
    warped_mask: MaskArray
    confusion: NDArray[np.float64]


class Scratch(Protocol):
    """What one pass over the video leaves for the next, on disk in the product: memory never grows with the length."""

    def put(self, name: str, array: NDArray[Any]) -> None: ...

    def get(self, name: str) -> NDArray[Any]: ...


def propagate(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    flow: FlowSource,
    classes: int,
    segmenter: SegmenterConfig,
    settings: PropagationConfig,
    model: bytes | None,
    scratch: Scratch,
    wanted: Collection[int] | None,
    beat: Callable[[float], None],
    carried: Mapping[int, MaskArray] | None = None,
) -> Iterator[FramePrediction]:
    """Every frame (or the `wanted` ones), in order.

    model: of `fit` with the same labels and segmenter; None: flow alone. Two passes: from the end, which leaves the
    labels of later frames in `scratch` as later-NNNNNN, (2, 4, H, W) uint8 per wanted frame; then from the beginning.
    carried: of the same frames as `labels`, what of them other frames are told; None: all
    Frames are decided side by side, as many as there are CPU threads, or fewer large ones, which would need the memory.
    """
    height, width = frames[0].shape[:2]
    told = labels if carried is None else carried
    wished = sorted(set(range(len(frames)) if wanted is None else wanted))
    if not wished:
        return
    device = torch_device(settings.device)
    sizes = canvas(height, width, segmenter.input_side)
    image_of = remembering(frames.__getitem__, 3 * height * width)
    label_of = remembering(told.__getitem__, height * width)
    chosen = frozenset(wished)
    ids = tuple(range(classes))
    threads = torch.get_num_threads()
    workers = workers_for(height, width, threads)

    def packed(track: Track, index: int) -> NDArray[np.uint8]:
        return read(track, index, image_of(index), label_of, image_of)

    def leave(visit: tuple[int, Track]) -> None:
        index, track = visit
        if index in chosen:
            scratch.put(f"later-{index:06d}", packed(track, index))

    own_threads = partial(torch.set_num_threads, max(1, threads // workers))
    with ThreadPoolExecutor(workers, "propagate", initializer=own_threads) as pool:
        window = None
        if model is not None:
            backbone = features(segmenter, device, settings.seed)
            fitted = from_bytes(model, backbone, device)
            ids = fitted.classes

            def opinion(index: int) -> Callable[[], Tensor]:
                image = image_of(index)

                def work() -> Tensor:
                    with torch.inference_mode():
                        return fitted.opinion(backbone, sizes, image, device)

                return work

            window = OpinionWindow(opinion, flow, len(frames), sizes.grid, device, pool)

        backward = range(len(frames) - 1, wished[0] - 1, -1)
        ahead = None if workers == 1 else pool  # alone it would only keep more in memory
        visits = ((i, track) for i, _, track in travel(backward, told, flow, (height, width), ahead))
        for done, _ in enumerate(in_turn(leave, visits, ahead, workers)):
            beat(0.3 * (done + 1) / len(backward))

        def predict(
            index: int,
            earlier: Callable[[], NDArray[np.uint8]],
            given: MaskArray | None,
            opinion: Callable[[], Tensor] | None,
        ) -> FramePrediction:
            said = None if opinion is None else opinion()
            sides = earlier(), scratch.get(f"later-{index:06d}")
            made = decide(
                sides,
                image_of(index),
                given,
                said,
                ids,
                classes,
                sizes,
                settings.probability_stride,
                settings.outline_radius,
                device,
            )
            mask, warped = made.mask, np.where(made.warped_mask == UNKNOWN, np.uint8(0), made.warped_mask)
            if given is not None:
                mask, warped = (np.where(given != UNKNOWN, given, by_us) for by_us in (mask, warped))
            return FramePrediction(index, mask, made.probabilities, made.doubt, warped, made.confusion)

        pending: deque[Future[FramePrediction]] = deque()
        forward = range(wished[-1] + 1)
        try:
            for done, (index, _, track) in enumerate(travel(forward, told, flow, (height, width), ahead)):
                if index in chosen:
                    earlier = partial(packed, track, index)
                    if ahead is None:
                        earlier = partial(np.asarray, earlier())  # a quarter of the track's memory
                    around = None if window is None else window.around(index)
                    pending.append(pool.submit(predict, index, earlier, labels.get(index), around))
                if len(pending) > workers:
                    yield pending.popleft().result()
                beat(0.3 + 0.7 * (done + 1) / len(forward))
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(threads)  # a worker's setting is the whole process's
