"""What every backend of the click server promises; a new one is tested by being registered."""

from __future__ import annotations

import numpy as np
import pytest

from assist.backends.interface import mask_of_clicks, mask_of_history
from assist.backends.registry import BACKENDS, click_backend
from assist.clicks import Box, Click
from assist.robot import overlap
from workspace.errors import UserError


def picture(height: int, width: int) -> np.ndarray:
    """A reddish disk on a bluish ground, both a little noisy."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    disk = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (min(height, width) / 3.5) ** 2
    image = np.where(disk[..., None], [200, 70, 60], [40, 90, 170]) + rng.normal(0, 6, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def disk_of(image: np.ndarray) -> np.ndarray:
    return (image[..., 0] > 120).astype(np.uint8)


@pytest.fixture(params=sorted(BACKENDS), scope="module")
def backend(request, tiny_model):
    return click_backend(request.param, tiny_model)


@pytest.mark.parametrize("size", [(1, 1), (5, 90), (63, 64), (120, 160)])
def test_any_picture_any_clicks_same_answer_and_nothing_given_is_changed(backend, size) -> None:
    image = picture(*size)
    before = image.copy()
    looked = backend.look(image)
    clicks = [Click(size[0] // 2, size[1] // 2, True)]
    if size[1] > 2:
        clicks.append(Click(0, 0, False))
    previous = np.zeros(size, bool)
    for shown in (None, previous, ~previous):
        for number in range(1, len(clicks) + 1):
            mask = mask_of_clicks(backend, looked, clicks[:number], previous=shown)
            assert mask.shape == size
            assert mask.dtype == bool
            assert all(mask[click.y, click.x] == click.positive for click in clicks[:number])
            again = mask_of_clicks(backend, backend.look(image), clicks[:number], previous=shown)
            np.testing.assert_array_equal(mask, again)
    np.testing.assert_array_equal(image, before)
    assert not previous.any()


def test_one_click_on_a_plain_disk_is_enough(backend) -> None:
    image = picture(120, 160)
    looked = backend.look(image)
    mask = mask_of_history(backend, looked, [Click(60, 80, True)])
    assert overlap(mask, disk_of(image)) > 0.9


def test_a_box_around_a_plain_disk_is_enough(backend) -> None:
    image = picture(120, 160)
    mask = mask_of_history(backend, backend.look(image), (), Box(40.0, 22.0, 118.0, 98.0))
    assert overlap(mask, disk_of(image)) > 0.85
    assert not mask[:, :30].any()


def test_a_wrong_start_is_mended_by_one_click(backend) -> None:
    image = picture(120, 160)
    truth = disk_of(image)
    start = truth == 1
    start[:60] = False
    mended = mask_of_history(backend, backend.look(image), [Click(45, 80, True)], start=start)
    assert overlap(mended, truth) > overlap(start, truth) + 0.2


def test_a_small_object_in_a_large_picture_is_clicked_on_thrice(backend) -> None:
    rng = np.random.default_rng(0)
    image = np.clip(np.array([40, 90, 170]) + rng.normal(0, 6, (300, 400, 3)), 0, 255).astype(np.uint8)
    truth = np.zeros((300, 400), np.uint8)
    truth[200:240, 300:330] = 1
    image[truth == 1] = (200, 70, 60)
    clicks = [Click(220, 315, True), Click(180, 315, False), Click(220, 285, False)]
    mask = mask_of_history(backend, backend.look(image), clicks)
    assert mask.shape == (300, 400)
    assert overlap(mask, truth) > 0.8
    again = mask_of_history(backend, backend.look(image), clicks)
    np.testing.assert_array_equal(mask, again)


def test_the_version_names_the_backend(backend) -> None:
    assert backend.version
    assert len(backend.version) < 60


def test_without_any_hint_the_mask_stays(backend) -> None:
    looked = backend.look(picture(40, 40))
    start = np.eye(40, dtype=bool)
    np.testing.assert_array_equal(mask_of_clicks(backend, looked, (), previous=start), start)


def test_a_backend_that_learns_says_what_it_needs(tmp_path) -> None:
    with pytest.raises(UserError, match="'learned' needs a model"):
        click_backend("learned")
    with pytest.raises(UserError, match="no assist model in"):
        click_backend("learned", tmp_path)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(UserError, match="no assist backend 'clasic'"):
        click_backend("clasic")
