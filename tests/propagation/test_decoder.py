from __future__ import annotations

import torch

from propagation.decoder import PixelDecoder, columns_at


def test_a_pixel_centre_reads_the_map_itself():
    fine = torch.arange(12.0).reshape(1, 1, 3, 4)
    coarse = torch.tensor([[[[5.0]]]])
    rows, columns = torch.tensor([0, 2, 1]), torch.tensor([0, 3, 2])
    read = columns_at([fine, coarse], rows, columns, 3, 4)
    assert torch.allclose(read, torch.tensor([[0.0, 5.0], [11.0, 5.0], [6.0, 5.0]]), atol=1e-5)


def test_between_two_pixels_lies_their_mean():
    fine = torch.arange(4.0).reshape(1, 1, 1, 4)
    assert columns_at([fine], torch.tensor([0.0]), torch.tensor([1.5]), 1, 4).tolist() == [[1.5]]


def test_decoding_a_frame_is_decoding_its_pixels():
    generator = torch.Generator().manual_seed(0)
    levels = [torch.rand(1, 3, 12, 16, generator=generator), torch.rand(1, 5, 3, 4, generator=generator)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decoder = PixelDecoder((3, 5), 4)
    rows, columns = (part.reshape(-1) for part in torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij"))
    table = columns_at(levels, rows, columns, 6, 8)
    decoder.standardize_to(table)
    with torch.no_grad():
        dense = decoder.dense(levels, (6, 8))
        assert torch.allclose(dense[0].flatten(1).T, decoder(table), atol=1e-4)


def test_standardized_columns_have_no_mean_and_unit_spread():
    decoder = PixelDecoder((2,), 2)
    table = torch.tensor([[0.0, 100.0], [2.0, 300.0]])
    decoder.standardize_to(table)
    assert torch.allclose((table - decoder.mean) / decoder.std, torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), atol=1e-3)
