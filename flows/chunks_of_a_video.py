"""The heavy work inside one video, in pieces that any process on this machine can do: plain data in, files out."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from flows.down_weighting import Trusted, trusted
from flows.executors import Beat
from flows.flow_method import flow_method
from flows.frame_files import FlowFiles, FrameFiles, ScratchFiles
from flows.labels import LabelSet
from propagation.fit import fit
from propagation.out_of_memory import too_little_memory_is_told
from propagation.propagate import FramePrediction, propagate
from propagation.side_by_side import workers_for
from workspace.config import Config
from workspace.files import read_undamaged, write_bytes, write_image
from workspace.label import Label
from workspace.layout import Layout
from workspace.mask import MaskArray
from workspace.video import Video


@dataclass(frozen=True, slots=True)
class VideoWork:
    """What a piece needs to know. consolidate: as `LabelSet` takes it."""

    layout: Layout
    config: Config
    video: Video
    labels: Sequence[Label]
    consolidate: Callable[[Sequence[Label], Sequence[MaskArray]], MaskArray]

    @property
    def label_set(self) -> LabelSet:
        return LabelSet(self.layout.video(self.video.id), self.labels, self.consolidate)


def fill_flow(it: VideoWork, first: Sequence[int], beat: Beat) -> None:
    """Optical flow of the pairs that begin at these frames, as files."""
    one = it.config.propagation.flow != "dis"  # a network's pair takes the whole device
    workers = 1 if one else workers_for(it.video.height, it.video.width, torch.get_num_threads())
    flow_of(it.layout, it.config, it.video, FrameFiles(it.layout, it.video)).fill(workers, beat, first)


def fit_labels(it: VideoWork, previous: bytes | None, beat: Beat) -> bytes:
    """The model's bytes. Not divided: its decoders draw from one row of random numbers."""
    frames = FrameFiles(it.layout, it.video)
    flow = flow_of(it.layout, it.config, it.video, frames)
    labels = _trusted(it, flow, beat).taught
    with too_little_memory_is_told(it.config.propagation.device):
        return fit(
            frames,
            labels,
            flow,
            len(it.config.project.classes),
            it.config.segmenter,
            it.config.propagation,
            previous,
            beat,
        )


def propagate_to(it: VideoWork, model: str, wanted: Sequence[int], beat: Beat) -> None:
    """Masks and probabilities of these frames, as files. The same as if all frames were done at once."""
    frames = FrameFiles(it.layout, it.video)
    flow = flow_of(it.layout, it.config, it.video, frames)
    scratch = ScratchFiles(it.layout.video(it.video.id) / "scratch" / model)
    predictions = propagate(
        frames,
        it.label_set,
        flow,
        len(it.config.project.classes),
        it.config.segmenter,
        it.config.propagation,
        read_undamaged(it.layout.model(it.video.id, model)),
        scratch,
        wanted,
        beat,
        _trusted(it, flow, beat).carried,
    )
    masks, probabilities = it.layout.masks(it.video.id, model), it.layout.probabilities(it.video.id, model)
    with too_little_memory_is_told(it.config.propagation.device):
        for prediction in predictions:
            _save(prediction, masks, probabilities)


def _trusted(it: VideoWork, flow: FlowFiles, beat: Beat) -> Trusted:
    """Every piece finds out by itself: with several processes one could not hand it to the others but by a file."""
    shape, rules = (it.video.height, it.video.width), it.config
    weight, seed = rules.review.contradicted_weight, rules.propagation.seed
    return trusted(it.label_set, flow, shape, weight, seed, lambda _: beat(0.0))


def flow_of(layout: Layout, config: Config, video: Video, frames: FrameFiles) -> FlowFiles:
    folder, compute = flow_method(config.propagation)
    return FlowFiles(layout.flow(video.id) / folder, frames, compute)


def mask_file(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}.png"


def probabilities_file(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}.npz"


def _save(prediction: FramePrediction, masks: Path, probabilities: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        probabilities=prediction.probabilities,
        doubt=prediction.doubt,
        confusion=prediction.confusion,
    )
    write_bytes(probabilities_file(probabilities, prediction.index), buffer.getvalue())
    write_image(mask_file(masks, prediction.index), prediction.mask)
