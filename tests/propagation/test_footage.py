"""Real footage: learning must add to flow. Skipped where the footage is not there."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from propagation.flow import dis_flow
from propagation.propagate import fit, propagate
from workspace.config import PropagationConfig, SegmenterConfig

SHARED = Path(__file__).parents[2] / ".." / "shared"
CLIP = SHARED / "data" / "camvid_0016E5_15hz"
WEIGHTS = SHARED / "weights" / "mobilenet_v2_imagenet1k.pth"
CLASSES = 11

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.slow,
    pytest.mark.footage,
    pytest.mark.skipif(not CLIP.is_dir() or not WEIGHTS.is_file(), reason="needs ../shared/data and ../shared/weights"),
]


def miou(confusion: np.ndarray) -> float:
    hit = np.diag(confusion)
    present = confusion.sum(axis=1) > 0
    return float(100 * (hit / (confusion.sum(axis=0) + confusion.sum(axis=1) - hit).clip(1))[present].mean())


@pytest.mark.parametrize(
    ("segmenter", "gain"),
    [
        (SegmenterConfig(name="mobilenet_v2", weights=str(WEIGHTS)), 0.5),
        (SegmenterConfig(name="compact", weights=None), 0.0),
    ],
    ids=["mobilenet_v2", "compact"],
)
def test_learning_adds_to_flow(segmenter, gain, scratch):
    """The first 40 frames with 3 labeled; one in three of the others is scored, labeled frames left out."""
    with av.open(str(CLIP / "video.mp4")) as container:
        frames = [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(40), strict=False)]
    masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted((CLIP / "masks").glob("*.png"))[:40]]
    flows: dict[tuple[int, int], np.ndarray] = {}

    def flow(source: int, target: int) -> np.ndarray:
        if (source, target) not in flows:
            flows[source, target] = dis_flow(frames[source], frames[target], 640)
        return flows[source, target]

    labels = {index: masks[index] for index in (6, 20, 34)}
    settings = PropagationConfig(device="cpu", tuning_steps=60)  # enough to see it; 300 by default
    model = fit(frames, labels, flow, CLASSES, segmenter, settings, None, lambda _: None)
    wanted = [index for index in range(0, 40, 3) if index not in labels]
    ours, baseline = np.zeros((2, CLASSES, CLASSES), np.int64)
    for p in propagate(frames, labels, flow, CLASSES, segmenter, settings, model, scratch, wanted, lambda _: None):
        truth = masks[p.index]
        known = truth != 255
        for confusion, mask in ((ours, p.mask), (baseline, p.warped_mask)):
            np.add.at(confusion, (truth[known], mask[known]), 1)
    print(f"{segmenter.name}: flow {miou(baseline):.2f}, learned {miou(ours):.2f}")
    assert miou(ours) >= miou(baseline) + gain
