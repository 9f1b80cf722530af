"""The masks that the product propagates from a few labeled frames, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectors.measured_folder import open_measured_folder
from flows.measured_video import measured_video, quiet
from propagation.fit import fit
from propagation.propagate import propagate
from workspace.config import Config
from workspace.errors import UserError
from workspace.mask import UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class PropagatedFrame:
    """image: (H, W, 3) uint8 RGB;  truth: (H, W) uint8, 1 the object, 0 not, 255 unknown;  mask: (H, W) bool"""

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def propagated_frames(path: Path, labeled: int, every: int, config: Config) -> Iterator[PropagatedFrame]:
    """Every `every`-th frame that nobody labeled, of a video of one object and a background.

    labeled: evenly spaced frames;  UserError for other videos, or more labels than frames
    """
    folder = open_measured_folder(path)
    if len(folder.classes) != 2:
        raise UserError(f"{path} has {len(folder.classes)} classes.", "Masks must show a background and one object.")
    if not 1 <= labeled < folder.n_masks:
        raise UserError(f"--labeled {labeled} does not fit a video of {folder.n_masks} frames.")
    settings = config.propagation
    with measured_video(folder, settings) as measured:
        frames, flow = measured.frames, measured.flow
        chosen = [int((i + 0.5) * folder.n_masks / labeled) for i in range(labeled)]
        labels = {index: folder.truth(index) for index in chosen}
        measured.fill_flow()
        model = fit(frames, labels, flow, 2, config.segmenter, settings, None, quiet)
        wanted = [index for index in range(folder.n_masks) if index not in labels][::every]
        made = propagate(frames, labels, flow, 2, config.segmenter, settings, model, measured.scratch(), wanted, quiet)
        for prediction in made:
            truth = folder.truth(prediction.index)
            object_ = np.where(truth == UNKNOWN, np.uint8(UNKNOWN), (truth == 1).astype(np.uint8))
            yield PropagatedFrame(frames[prediction.index], object_, prediction.mask == 1)
