"""Our run lengths against Label Studio's own code, which is slow but right."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from label_studio_sdk.converter.brush import decode_rle, encode_rle, mask2rle

from connectors.label_studio.run_lengths import announced, pack, unpack

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40))


def theirs(mask):
    """Without the byte of padding that it adds where none is needed."""
    packed = mask2rle(mask.astype(np.uint8) * 255)
    bits = 53
    for length in np.diff(np.flatnonzero(np.concatenate([[True], mask.flat[1:] != mask.flat[:-1], [True]]))) * 4:
        for part in [65536] * (length // 65536) + [length % 65536] * bool(length % 65536):
            bits += 3 + (3 if part <= 8 else 4 if part <= 16 else 8 if part <= 256 else 16) + 8
    return packed[: (bits + 7) // 8]


@given(masks)
def test_packing_is_byte_for_byte_label_studios(mask):
    assert list(pack(mask)) == theirs(mask)


@given(masks)
def test_what_was_packed_comes_back(mask):
    values = unpack(pack(mask)).reshape(*mask.shape, 4)
    assert (values == mask[:, :, None] * np.uint8(255)).all()


@given(arrays(np.uint8, st.integers(1, 300), elements=st.sampled_from([0, 3, 255])))
def test_any_values_as_a_browser_packs_them(values):
    data = bytes(encode_rle(values))
    np.testing.assert_array_equal(unpack(data), values)
    for step in (2, 4):
        for first in range(step):
            np.testing.assert_array_equal(unpack(data, first, step), values[first::step])
    assert announced(data) == len(values)


def test_values_one_by_one():
    """Three single values in one run: 0, size 0 (3 bits), length 3 - 1, then 1, 2, 3."""
    bits = f"{3:032b}{7:05b}" + "".join(f"{s - 1:04b}" for s in (3, 4, 8, 16)) + "0" + "00" + "010"
    bits += "".join(f"{v:08b}" for v in (1, 2, 3))
    data = int(bits.ljust((len(bits) + 7) // 8 * 8, "0"), 2).to_bytes((len(bits) + 7) // 8, "big")
    assert unpack(data).tolist() == [1, 2, 3]
    assert decode_rle(data).tolist() == [1, 2, 3]


def test_a_run_longer_than_the_longest_length_is_split():
    mask = np.zeros((300, 400), bool)
    mask[200:] = True
    assert list(pack(mask)) == theirs(mask)
    assert (unpack(pack(mask)).reshape(300, 400, 4)[:, :, 0] == mask * 255).all()


@given(masks, st.data())
def test_damaged_data_is_an_error_or_an_array_never_anything_else(mask, data):
    packed = bytearray(pack(mask))
    place = data.draw(st.integers(4, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    cut = bytes(packed[: data.draw(st.integers(0, len(packed)))])
    for damaged in (bytes(packed), cut):
        with contextlib.suppress(ValueError):
            assert unpack(damaged).size == mask.size * 4


def test_cut_off_data_says_so():
    with pytest.raises(ValueError, match="cut off"):
        unpack(pack(np.eye(20, dtype=bool))[:-4])
    with pytest.raises(ValueError, match="cut off"):
        unpack(b"")
