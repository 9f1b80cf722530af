"""How sure the model is, per pixel, and pooled per sample. Higher = more worth a person's time; always in [0, 1]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating]  # (K, H, W) float16 or float32, a distribution over the K classes per pixel

_TINY = np.float32(1e-30)


def entropy(probability: Probabilities) -> NDArray[np.float32]:
    """-sum_k p_k log p_k / log K: 0 where one class is certain, 1 where all are equally likely.

    probability: (K, H, W);  returns: (H, W) float32.  Shannon 1948. With one class there is nothing to be unsure of: 0.
    """
    classes = len(probability)
    total = np.zeros(probability.shape[1:], np.float32)
    if classes < 2:
        return total
    for plane in probability:  # one class at a time: a full-size frame of many classes would need gigabytes
        p = plane.astype(np.float32)
        total -= p * np.log(np.maximum(p, _TINY))
    return np.clip(total / np.float32(math.log(classes)), 0, 1)


def least_confidence(probability: Probabilities) -> NDArray[np.float32]:
    """(1 - max_k p_k) K / (K - 1).  probability: (K, H, W);  returns: (H, W) float32.  Lewis & Gale 1994."""
    classes = len(probability)
    if classes < 2:
        return np.zeros(probability.shape[1:], np.float32)
    highest = probability.max(axis=0).astype(np.float32)
    return np.asarray(np.clip((1 - highest) * np.float32(classes / (classes - 1)), 0, 1), np.float32)


def margin(probability: Probabilities) -> NDArray[np.float32]:
    """1 - (highest - second highest).  probability: (K, H, W);  returns: (H, W) float32.  Scheffer et al. 2001."""
    if len(probability) < 2:
        return np.zeros(probability.shape[1:], np.float32)
    second, first = np.partition(probability, -2, axis=0)[-2:].astype(np.float32)
    return np.asarray(np.clip(1 - (first - second), 0, 1), np.float32)


def disagreement(probability: Probabilities, other: Probabilities) -> NDArray[np.float32]:
    """Jensen-Shannon divergence of two distributions per pixel, in bits: 0 = the same, 1 = nothing in common.

    For the prediction against the neighbour's prediction warped along flow, or the network against the warped labels.
    probability, other: (K, H, W);  returns: (H, W) float32
    JSD = (KL(p || m) + KL(q || m)) / 2  with m = (p + q) / 2.  Lin 1991.
    """
    total = np.zeros(probability.shape[1:], np.float32)
    for plane, other_plane in zip(probability, other, strict=True):
        p, q = plane.astype(np.float32), other_plane.astype(np.float32)
        log_middle = np.log2(np.maximum((p + q) / 2, _TINY))
        for x in (p, q):
            total += x * (np.log2(np.maximum(x, _TINY)) - log_middle) / 2
    return np.clip(total, 0, 1)


def pooled(values: NDArray[np.float32], counts: NDArray[np.bool_], weight: NDArray[np.float32] | None = None) -> float:
    """Mean over the pixels that count; 0 if none does (there is nothing left to ask).

    values: (H, W);  counts: (H, W) bool, False on unknown and on already labeled pixels
    weight: (H, W), from `class_weights`; None: every pixel the same
    """
    chosen = values[counts].astype(np.float64)
    if chosen.size == 0:
        return 0.0
    if weight is None:
        return float(chosen.mean())
    return float((chosen * weight[counts]).sum() / chosen.size)


def class_weights(pixels: NDArray[np.int64], power: float = 0.5) -> NDArray[np.float32]:
    """Weights that let rare classes speak up: w_k in proportion to frequency_k ** -power, of mean 1 over the pixels.

    pixels: (K,) how often each class is predicted in the whole video;  power: 0 = as frequent, 1 = all classes alike
    returns: (K,) float32; a class that is never predicted weighs what the rarest predicted one does
    Thin classes hold most of the error and few of the pixels. For a predicted class map: `class_weights(n)[ids]`.
    """
    total = int(pixels.sum())
    if total == 0:
        return np.ones(len(pixels), np.float32)
    frequency = np.maximum(pixels, pixels[pixels > 0].min()) / total
    weight = frequency**-power
    return np.asarray(weight / ((pixels / total) * weight).sum(), np.float32)
