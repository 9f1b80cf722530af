"""An annotator that knows the truth: stands in for people in tests, demos and measurements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from connectors.labeling_tool import Question
from workspace.files import read_array
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Sample


def answer_from_truth(truth: MaskArray, sample: Sample, superpixels: NDArray[np.int32] | None = None) -> MaskArray:
    """What a perfect annotator says about `sample`.

    truth: (H, W) uint8, 255 = void: stays 255, as nobody can say what is there.
    superpixels: (H, W) int32, the frame's segmentation; ValueError for a superpixel without it.
    returns: (H, W) uint8, the truth inside the sample and 255 outside; a superpixel gets one class, the one that covers
    most of what is known in it (ties to the lowest id), since one click is all that it is asked.
    """
    height, width = truth.shape
    inside = sample.region(height, width, superpixels)
    if sample.superpixel is None:
        return np.where(inside, truth, np.uint8(UNKNOWN))
    known = np.bincount(truth[inside], minlength=UNKNOWN + 1)[:UNKNOWN]
    dominant = int(known.argmax()) if known.any() else UNKNOWN
    return np.where(inside, np.uint8(dominant), np.uint8(UNKNOWN))


def simulated_annotator(truth_of: Callable[[str, int], MaskArray]) -> Callable[[Question], MaskArray]:
    """Answers questions from `truth_of(video, frame)`, which gives the (H, W) uint8 truth of that frame.

    Raises ValueError, with both sizes, where the truth is not of the question's size.
    """

    def answer(question: Question) -> MaskArray:
        truth = truth_of(question.video, question.sample.frame)
        if truth.shape != (question.height, question.width):
            raise ValueError(f"the truth of {question.key} is {truth.shape}, not ({question.height}, {question.width})")
        superpixels = None if question.superpixels is None else read_array(question.superpixels)
        return answer_from_truth(truth, question.sample, superpixels)

    return answer
