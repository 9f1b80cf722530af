"""What fitting minimises: L = L_labels + lambda L_flow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from workspace.mask import UNKNOWN


def label_loss(logits: Tensor, labels: Tensor, class_weights: Tensor) -> Tensor:
    """Weighted cross-entropy with the people's labels; blind to what nobody labeled.

    logits: (B, K, ...);  labels: (B, ...) int64, 255 unknown;  class_weights: (K,);  returns: scalar
        loss = - sum_x w[y_x] log softmax(logits_x)[y_x] / sum_x w[y_x]        over known x; 0 if there is none
    """
    known = labels != UNKNOWN
    if not bool(known.any()):
        return logits.sum() * 0
    return F.cross_entropy(logits, labels, weight=class_weights, ignore_index=UNKNOWN)


def overlap_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - Dice overlap, averaged over the classes that are labeled here; blind to what nobody labeled.

    logits: (B, K, H, W);  labels: (B, H, W) int64, 255 unknown;  returns: scalar, 0 if nothing is labeled
        loss = mean_k  1 - (2 sum(p_k g_k) + 1) / (sum(p_k) + sum(g_k) + 1)        sums over known pixels
    Milletari et al. 2016 (V-Net), arXiv:1606.04797. It counts a thin class as much as a wide one, as mIoU does.
    """
    known = (labels != UNKNOWN)[:, None]
    p = torch.softmax(logits, dim=1) * known
    g = F.one_hot(torch.where(known[:, 0], labels, 0), logits.shape[1]).movedim(-1, 1) * known
    size = g.sum(dim=(0, 2, 3))
    dice = (2 * (p * g).sum(dim=(0, 2, 3)) + 1) / (p.sum(dim=(0, 2, 3)) + size + 1)
    here = size > 0
    return ((1 - dice) * here).sum() / here.sum().clamp(min=1)


def flow_loss(here: Tensor, there: Tensor, agrees: Tensor) -> Tensor:
    """Squared difference of the class probabilities at both ends of a flow vector, where the flow is to be believed.

    here, there: (..., K) logits of a pixel at t and of where the flow takes it at t+1;  agrees: (...) bool, forward and
    backward flow agree;  returns: scalar
        loss = mean over agreeing x of  sum_k (softmax(here_x)_k - softmax(there_x)_k)^2;  0 if none agrees
    Varghese et al. 2021, "Unsupervised Temporal Consistency (TC) Loss", and HVSA (WACV 2023).
    """
    gap = (torch.softmax(here, dim=-1) - torch.softmax(there, dim=-1)).square().sum(dim=-1)
    weight = agrees.to(gap.dtype)
    return (gap * weight).sum() / weight.sum().clamp(min=1)


def balancing_weights(counts: Tensor, power: float) -> Tensor:
    """Weights for classes of very different size: (share of the class)^-power, averaging 1 over the pixels.

    counts: (K,) labeled pixels per class;  power: 0 leaves all equal, 1 gives every class the same say
    returns: (K,) float32, 0 for a class without pixels
    """
    share = counts.double() / counts.sum().clamp(min=1)
    weights = torch.where(counts > 0, share.clamp(min=1e-12) ** -power, torch.zeros_like(share))
    return (weights / (weights * share).sum().clamp(min=1e-12)).float()
