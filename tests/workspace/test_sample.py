"""Samples and their keys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.mask import check_mask
from workspace.sample import Granularity, Sample, question_key

frames = st.integers(0, 10_000_000)
boxes = st.tuples(st.integers(0, 9999), st.integers(0, 9999), st.integers(1, 9999), st.integers(1, 9999))
superpixels = st.tuples(st.text("0123456789abcdef", min_size=8, max_size=8), st.integers(0, 10**6))
samples = st.one_of(
    st.builds(Sample, frames), st.builds(Sample, frames, box=boxes), st.builds(Sample, frames, superpixel=superpixels)
)


@given(sample=samples)
def test_a_key_names_one_sample(sample: Sample) -> None:
    assert Sample.parse(sample.key) == sample


@pytest.mark.parametrize("key", ["", "f1", "f000001.", "f000001.p1-2-3", "../f000001", "f000001 ", "f000001.szz-1"])
def test_other_strings_are_no_keys(key: str) -> None:
    with pytest.raises(ValueError, match="not a sample key"):
        Sample.parse(key)


def test_what_a_sample_covers() -> None:
    assert Sample(3).granularity is Granularity.FRAME
    assert Sample(3).region(2, 2).all()
    patch = Sample(3, box=(1, 2, 5, 2))
    assert patch.granularity is Granularity.PATCH
    assert np.argwhere(patch.region(3, 5)).tolist() == [[1, 2], [1, 3], [2, 2], [2, 3]]  # cut off at the border
    ids = np.array([[0, 1], [1, 1]], np.int32)
    assert Sample(3, superpixel=("0123abcd", 1)).region(2, 2, ids).tolist() == [[False, True], [True, True]]
    with pytest.raises(ValueError, match="needs the frame's superpixels"):
        Sample(3, superpixel=("0123abcd", 1)).region(2, 2)


@pytest.mark.parametrize(
    "wrong", [{"frame": -1}, {"frame": 0, "box": (0, 0, 0, 1)}, {"frame": 0, "box": (-1, 0, 1, 1)}]
)
def test_impossible_samples(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"negative|empty"):
        Sample(**wrong)


def test_the_question_key() -> None:
    assert question_key("clip-0123456789", 2, Sample(7)) == "clip-0123456789/2/f000007"


def test_masks_are_checked() -> None:
    good = np.array([[0, 1], [255, 1]], np.uint8)
    assert check_mask(good, 2, 2, 2) is good
    with pytest.raises(ValueError, match="class id 1 in a mask of 1 classes"):
        check_mask(good, 2, 2, 1)
    with pytest.raises(ValueError, match=r"must be \(2, 3\) uint8"):
        check_mask(good, 2, 3, 2)
    with pytest.raises(ValueError, match="int64"):
        check_mask(good.astype(np.int64), 2, 2, 2)
