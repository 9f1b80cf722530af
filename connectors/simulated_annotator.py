"""An annotator that knows the truth: stands in for people in tests, demos and measurements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from connectors.labeling_tool import Question
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Sample


def answer_from_truth(truth: MaskArray, sample: Sample) -> MaskArray:
    """What a perfect annotator says about `sample`.

    truth: (H, W) uint8, 255 = void: stays 255, as nobody can say what is there.
    returns: (H, W) uint8, the truth inside the sample and 255 outside.
    Raises ValueError for a superpixel, whose pixels only its segmentation knows.
    """
    height, width = truth.shape
    inside = sample.region(height, width)
    return np.where(inside, truth, np.uint8(UNKNOWN))


def simulated_annotator(truth_of: Callable[[str, int], MaskArray]) -> Callable[[Question], MaskArray]:
    """Answers questions from `truth_of(video, frame)`, which gives the (H, W) uint8 truth of that frame.

    Raises ValueError, with both sizes, where the truth is not of the question's size.
    """

    def answer(question: Question) -> MaskArray:
        truth = truth_of(question.video, question.sample.frame)
        if truth.shape != (question.height, question.width):
            raise ValueError(f"the truth of {question.key} is {truth.shape}, not ({question.height}, {question.width})")
        return answer_from_truth(truth, question.sample)

    return answer
