import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from selection.superpixels import connected, joined, superpixel_means, superpixel_sums, superpixels
from workspace.sample import Sample

label_maps = arrays(np.int32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 2))


def scene(height=96, width=128):
    """Two flat colours with a slanted boundary, and noise."""
    rng = np.random.default_rng(0)
    right = np.arange(width)[None] > 60 + np.arange(height)[:, None] // 4
    image = np.where(right[:, :, None], (200, 60, 40), (30, 90, 180)) + rng.integers(-12, 12, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8), right


def is_connected(member):
    return cv2.connectedComponents(member.astype(np.uint8), connectivity=4)[0] == 2


@pytest.mark.parametrize("method", ["slic", "seeds"])
@pytest.mark.parametrize("size_px", [8, 12, 16])
def test_superpixels_are_connected_numbered_in_raster_order_and_of_the_asked_size(method, size_px):
    image, _ = scene()
    result = superpixels(image, size_px, method)
    assert result.ids.shape == (96, 128)
    assert result.ids.dtype == np.int32
    _, first = np.unique(result.ids, return_index=True)
    assert len(first) == result.count
    assert (np.diff(first) > 0).all()
    assert all(is_connected(result.ids == i) for i in range(result.count))
    assert np.bincount(result.ids.ravel()).min() >= size_px**2 // 4
    assert 0.5 <= 96 * 128 / result.count / size_px**2 <= 2


@pytest.mark.parametrize("method", ["slic", "seeds"])
def test_superpixels_follow_the_boundary(method):
    image, right = scene()
    result = superpixels(image, 12, method)
    share = superpixel_sums(right, result.ids, result.count) / np.bincount(result.ids.ravel())
    wrong = np.minimum(share, 1 - share) * np.bincount(result.ids.ravel())
    assert wrong.sum() / right.size < 0.01  # naming the dominant class of each gets 99 % of the pixels right


@pytest.mark.parametrize("method", ["slic", "seeds"])
def test_ids_are_the_same_again_whatever_the_number_of_threads(method):
    image, _ = scene()
    once = superpixels(image, 10, method)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        again = superpixels(image.copy(), 10, method)
    finally:
        cv2.setNumThreads(threads)
    assert (once.ids == again.ids).all()
    assert once.fingerprint == again.fingerprint
    assert superpixels(image, 20, method).fingerprint != once.fingerprint
    Sample(0, superpixel=(once.fingerprint, once.count - 1))  # a valid name


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (40, 2), (7, 9), (33, 47)])
@pytest.mark.parametrize("method", ["slic", "seeds"])
def test_small_and_odd_frames_are_fine(shape, method):
    image = np.random.default_rng(1).integers(0, 255, (*shape, 3)).astype(np.uint8)
    result = superpixels(image, 8, method)
    assert result.ids.shape == shape
    assert result.ids.min() == 0
    assert all(is_connected(result.ids == i) for i in range(result.count))


def test_a_size_below_two_is_refused():
    with pytest.raises(ValueError, match="superpixels of 1 px"):
        superpixels(scene()[0], 1)


def test_parts_are_split_and_numbered_in_raster_order():
    ids = np.array([[5, 5, 2], [2, 5, 2], [2, 2, 5]], np.int32)
    assert connected(ids).tolist() == [[0, 0, 1], [2, 0, 1], [2, 2, 3]]


def test_a_small_region_joins_the_neighbour_with_the_longest_border():
    ids = np.array([[0, 0, 1, 1], [0, 0, 2, 1], [0, 0, 1, 1]], np.int32)
    assert joined(ids, 2).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert joined(ids, 7).tolist() == [[0] * 4] * 3


@given(label_maps)
def test_parts_are_connected_and_hold_one_id_each(ids):
    parts = connected(ids)
    for part in range(parts.max() + 1):
        assert is_connected(parts == part)
        assert len(np.unique(ids[parts == part])) == 1
    same = (ids[:, 1:] == ids[:, :-1]) == (parts[:, 1:] == parts[:, :-1])
    assert same.all()


@given(label_maps, st.integers(1, 20))
def test_joining_leaves_nothing_small_and_everything_connected(ids, smallest_px):
    result = joined(connected(ids), smallest_px)
    assert np.bincount(result.ravel()).min() >= min(smallest_px, ids.size)
    assert all(is_connected(result == i) for i in range(result.max() + 1))
    assert (joined(result, smallest_px) == result).all()


def test_means_leave_out_what_does_not_count():
    image, _ = scene()
    regions = superpixels(image, 16)
    values = np.random.default_rng(2).random((96, 128), np.float32)
    counts = np.zeros((96, 128), bool)
    counts[:, ::2] = True
    means = superpixel_means(values, counts, regions)
    for i in range(regions.count):
        assert means[i] == pytest.approx(values[(regions.ids == i) & counts].mean(), rel=1e-4)
    assert (superpixel_means(values, ~counts & counts, regions) == 0).all()
