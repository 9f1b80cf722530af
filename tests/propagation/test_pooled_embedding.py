"""Vectors of parts of frames, and flow on a coarse grid."""

import numpy as np

from propagation.embeddings import embedding_maps, pooled_embedding
from propagation.flow import coarse
from workspace.config import PropagationConfig, SegmenterConfig


def test_a_rectangle_gets_the_mean_of_the_cells_it_touches():
    maps = np.arange(8, dtype=np.float16).reshape(2, 4, 1)  # over 20x40 pixels: cells of 10x10
    box = np.array([(0, 0, 20, 40), (0, 0, 10, 10), (10, 20, 10, 20), (12, 33, 2, 2), (5, 0, 10, 10)])
    # all: 3.5; single cells 0 and 7; (6 + 7) / 2; across two rows: (0 + 4) / 2
    assert pooled_embedding(maps, box, 20, 40)[:, 0].tolist() == [3.5, 0, 6.5, 7, 2]


def test_no_rectangle_is_fine():
    assert pooled_embedding(np.ones((2, 2, 3)), np.zeros((0, 4), np.int64), 8, 8).shape == (0, 3)


def test_a_map_per_frame_the_same_again():
    frames = [np.full((48, 64, 3), 80 * n, np.uint8) for n in range(2)]
    settings = SegmenterConfig(name="compact", weights=None), PropagationConfig(device="cpu")
    first, again = ([m.tolist() for m in embedding_maps(frames, *settings, lambda fraction: None)] for _ in range(2))
    assert first == again
    assert np.array(first).shape[3] == 32
    assert first[0] != first[1]


def test_coarse_flow_of_a_shift_is_in_cells_and_reliable_inside_the_frame():
    flow = np.zeros((8, 16, 2), np.float32)
    flow[..., 0] = 4
    cells, reliability = coarse(flow, -flow, 4)
    assert cells.shape == (2, 4, 2)
    assert (cells[..., 0] == 1).all()
    assert (cells[..., 1] == 0).all()
    assert reliability.tolist() == [[1, 1, 1, 0]] * 2  # the last cell's middle leaves the frame
    _, lost = coarse(flow, flow, 4)  # it does not return: 8 px off, 64 / (0.01 * 32 + 0.5) is far above 1
    assert not lost.any()
