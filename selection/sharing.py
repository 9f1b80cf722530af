"""One budget for several videos: where is the next click worth most?"""

from __future__ import annotations

from collections.abc import Sequence


def expected_gain_per_click(history: Sequence[tuple[float, int]], frames: int) -> float:
    """Frames' worth of mIoU that the next click on a video is expected to bring; inf for one that nobody has seen.

    history: per round that was learned from, the estimated mIoU in [0, 1] after it and its modelled clicks
    Of one round: all that was reached, per click. Of more: what the last two brought over the rounds before them, per
    click, as quality rises by ever smaller steps. Never below 0: an estimate may fall.
    """
    if not history:
        return float("inf")
    recent = history[-2:] if len(history) > 2 else history[-1:]
    before = history[-len(recent) - 1][0] if len(history) > len(recent) else 0.0
    clicks = sum(clicks for _, clicks in recent)
    return max(history[-1][0] - before, 0.0) * frames / max(clicks, 1)


def samples_left(limit: int | None, asked: int) -> int | None:
    """Of a limit on samples; None: as many as one likes."""
    return None if limit is None else max(limit - asked, 0)


def samples_for_clicks(limit: int | None, spent: int, answered: int, waiting: int) -> int | None:
    """How many samples may be asked so that their clicks stay within a limit; None: as many as one likes.

    spent: clicks of the `answered` samples;  waiting: samples asked and not answered, each expected to cost the mean
    Where nothing was answered yet, the mean is unknown: then nothing more is asked while anything waits.
    """
    if limit is None:
        return None
    if spent >= limit:
        return 0
    if answered == 0 or spent == 0:
        return 0 if waiting else None
    mean = spent / answered
    return max(int((limit - spent) / mean) - waiting, 0)
