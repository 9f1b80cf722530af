"""What a sample is cut from a frame by: the words of `selection.granularity`."""

from __future__ import annotations

from selection.patches import patch_size

FRAME, SUPERPIXEL, MIXED = "frame", "superpixel", "mixed"
# What `mixed` chooses from. Smaller patches promise more per click than they keep: the most promising of many small
# ones are those whose outlines were judged too simple, and their borders cut regions that every patch has to draw.
MIXTURE = (FRAME, "patch:128", "patch:64")


def patch_shape(granularity: str) -> tuple[int, int] | None:
    """Height and width in pixels of "patch:32" or "patch:HEIGHTxWIDTH"; None for what is no patch."""
    return patch_size(granularity.removeprefix("patch:")) if granularity.startswith("patch:") else None


def sample_pixels(granularity: str, height: int, width: int, superpixel_px: int) -> int:
    """About how many pixels of a (height, width) frame one sample covers; superpixel_px: side of a superpixel."""
    if granularity == SUPERPIXEL:
        return min(superpixel_px**2, height * width)
    h, w = patch_shape(granularity) or (height, width)
    return min(h, height) * min(w, width)


def first_frames(budget: int, granularity: str, height: int, width: int, superpixel_px: int) -> int:
    """How many whole frames to ask for while there is no model: as many pixels as `budget` samples cover, at least 2.

    Without a model nobody can say which patch is worth asking for, and a few frames show every class and place at once.
    From a single frame the fusion cannot learn how labels change on their way to another one. A budget of frames stays.
    """
    if granularity in (FRAME, MIXED):
        return budget
    covered = budget * sample_pixels(granularity, height, width, superpixel_px) / (height * width)
    return max(2, round(covered))
