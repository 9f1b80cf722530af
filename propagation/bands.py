"""The decision for every pixel of a large frame, a band of rows at a time: memory does not grow with the frame.

What the networks add is small (at most 960 pixels wide); only what is as large as the frame is done in bands: the
labels that arrived, their fusion, and the probabilities of all classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from propagation.canvas import Canvas
from propagation.estimate import OPINION_WEIGHT, expected_confusion
from propagation.fusion import fuse
from propagation.model import index_of_class
from propagation.out_of_memory import in_parts
from propagation.outlines import along_outlines
from workspace.mask import UNKNOWN, MaskArray

_PIXELS_PER_BAND = 2**20  # a frame that is no larger than the work size (960 by 960) is one band, bit for bit as ever


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """mask, warped_mask: (h, W) uint8 class ids, by everything and by flow alone (255 where no label arrives)
    probabilities: (K, ceil(h/s), ceil(W/s)) float16;  doubt: (ceil(h/s), ceil(W/s)) float16
    confusion: (K, K) float64 of `estimate.expected_confusion`"""

    mask: MaskArray
    warped_mask: MaskArray
    probabilities: NDArray[np.float16]
    doubt: NDArray[np.float16]
    confusion: NDArray[np.float64]


def decide(
    sides: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    image: NDArray[np.uint8],
    given: MaskArray | None,
    opinion: Tensor | None,
    ids: tuple[int, ...],
    classes: int,
    sizes: Canvas,
    stride: int,
    outline_radius: int,
    device: torch.device,
) -> Decision:
    """The class of each pixel of one frame.

    sides: earlier and later, (2, 4, H, W) uint8 of `warp.read`;  image: (H, W, 3) uint8
    given: (H, W) people's labels, 255 unknown: the probabilities know them, the mask does not
    opinion: (len(ids), *grid) log probabilities; None: flow alone;  ids: the classes of the channels;  classes: K
    stride: s, of the probabilities;  outline_radius: of `along_outlines`
    """
    channels = index_of_class(ids)
    placed = None
    if opinion is not None:
        placed = F.interpolate(opinion[None], size=sizes.work, mode="bilinear", align_corners=False)
        placed *= OPINION_WEIGHT

    def band(begin: int, end: int) -> Decision:
        rows = slice(begin, end)
        # outlines are found with the rows beside the band
        top, bottom = max(0, begin - outline_radius), min(sizes.height, end + outline_radius)
        warped = fuse([side[..., top:bottom, :] for side in sides], ids, device)
        if placed is None:
            probability = warped.log_probability.exp_()
        else:
            probability = torch.softmax(warped.log_probability + rows_from_work(placed, sizes, top, bottom)[0], dim=0)
        probability = along_outlines(probability, image[top:bottom], outline_radius)
        probability = probability[:, begin - top : end - top]
        highest, best = probability.max(dim=0)
        mask = np.array(ids, np.uint8)[best.cpu().numpy()]
        if given is not None:
            channel = torch.from_numpy(channels[given[rows]].astype(np.int64)).to(device)
            known = channel != UNKNOWN
            best = torch.where(known, channel, best)
            sure = torch.zeros_like(probability).scatter_(0, best[None], 1.0)
            probability = torch.where(known, sure, probability)
            highest = torch.where(known, torch.ones_like(highest), highest)
        pooled = F.avg_pool2d(probability[None], stride, ceil_mode=True, count_include_pad=False)[0]
        coarse = torch.zeros((classes, *pooled.shape[1:]), device=device)
        coarse[list(ids)] = pooled
        unsure = F.avg_pool2d((1 - highest)[None, None], stride, ceil_mode=True, count_include_pad=False)[0, 0]
        confusion = np.zeros((classes, classes))
        confusion[np.ix_(ids, ids)] = expected_confusion(probability, best)
        return Decision(
            mask,
            warped.mask[begin - top : end - top],
            coarse.half().cpu().numpy(),
            unsure.clamp(min=0).half().cpu().numpy(),
            confusion,
        )

    with torch.inference_mode():
        parts = list(in_parts(band, sizes.height, max(1, _PIXELS_PER_BAND // sizes.width), stride))
    return Decision(
        np.concatenate([part.mask for part in parts]),
        np.concatenate([part.warped_mask for part in parts]),
        np.concatenate([part.probabilities for part in parts], axis=1),
        np.concatenate([part.doubt for part in parts]),
        np.sum([part.confusion for part in parts], axis=0),
    )


def rows_from_work(values: Tensor, sizes: Canvas, begin: int, end: int) -> Tensor:
    """Rows begin..end of `sizes.from_work(values)`, without the others.  values: (B, C, *work)"""
    if not sizes.scaled:
        return values[..., begin : min(end, sizes.height), : sizes.width]
    height = values.shape[-2]
    at = (torch.arange(begin, end, device=values.device, dtype=torch.float64) + 0.5) * (height / sizes.height) - 0.5
    at = at.clamp(0, height - 1)
    above = at.floor().long()
    below = (above + 1).clamp(max=height - 1)
    share = (at - above).to(values.dtype)[:, None]
    lines = torch.lerp(values.index_select(-2, above), values.index_select(-2, below), share)
    return F.interpolate(lines, size=(end - begin, sizes.width), mode="bilinear", align_corners=False)
