"""Memory that runs out makes parts smaller; only what no part fits into is an error, in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from propagation import embeddings
from propagation.out_of_memory import in_parts, too_little_memory_is_told
from workspace.errors import UserError

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB"


@given(
    count=st.integers(0, 60), most=st.integers(1, 40), room=st.integers(1, 40), multiple=st.sampled_from([1, 2, 4, 8])
)
def test_everything_is_computed_once_in_order_in_parts_that_fit(
    count: int, most: int, room: int, multiple: int
) -> None:
    def compute(begin: int, end: int) -> list[int]:
        if end - begin > max(room, multiple):
            raise torch.OutOfMemoryError(FULL)
        return list(range(begin, end))

    parts = list(in_parts(compute, count, most, multiple))
    assert [index for part in parts for index in part] == list(range(count))
    assert all(part[0] % multiple == 0 for part in parts)
    assert all(len(part) <= max(most, multiple) for part in parts)


def test_the_smaller_part_stays() -> None:
    asked: list[int] = []

    def compute(begin: int, end: int) -> None:
        asked.append(end - begin)
        if end - begin > 3:
            raise torch.OutOfMemoryError(FULL)

    list(in_parts(compute, 8, 8))
    assert asked == [8, 4, 2, 2, 2, 2]


def test_what_no_part_fits_into_is_told_in_one_line() -> None:
    def compute(begin: int, end: int) -> None:
        raise torch.OutOfMemoryError(FULL + "\nmany\nlines")

    told = r"'cuda:0' is too small: CUDA out of memory.*input_side"
    with pytest.raises(UserError, match=told) as caught, too_little_memory_is_told("cuda:0"):
        list(in_parts(compute, 8, 4))
    assert "\n" not in caught.value.message


class RoomForFive(torch.nn.Module):
    """Features that fit five frames at once, as a device with little memory would."""

    channels = (3, 3)
    pretrained = True

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        self.batches.append(len(image))
        if len(image) > 5:
            raise torch.OutOfMemoryError(FULL)
        return [image, image[..., ::2, ::2]]


def test_features_of_many_frames_are_made_in_batches_that_fit() -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (11, 32, 32, 3), dtype=np.uint8))
    crowded = RoomForFive()
    found = list(embeddings._maps(frames, crowded, -1, 32, torch.device("cpu"), 8))
    assert crowded.batches == [8, 4, 4, 3]
    alone = list(embeddings._maps(frames, RoomForFive(), -1, 32, torch.device("cpu"), 1))
    assert len(found) == len(alone) == 11
    assert all(torch.equal(one, other) for one, other in zip(found, alone, strict=True))
