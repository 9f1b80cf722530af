"""What learning from distorted labels says about how far contours may lie off."""

from __future__ import annotations

import numpy as np
import pytest

from flows.noise_experiment import CLEAN, DOWN_WEIGHTED, Learned, Noise, distorted, kept_px, read_noise
from workspace.errors import UserError


def learned(name: str, px: float, large: float | None, variant: str = "") -> Learned:
    return Learned(Noise(name, px), variant, 0, 1.0, 0.9, {"small": None, "medium": 0.5, "large": large})


def test_the_width_that_costs_so_many_points_lies_between_the_measured_ones() -> None:
    found = [
        learned(CLEAN, 0, 0.90),
        learned("dilation", 3, 0.84),
        learned("dilation", 1, 0.90),
        learned("random", 2, 0.10),
        learned("dilation", 2, 0.10, DOWN_WEIGHTED),
    ]
    assert kept_px(found, "large", 3) == pytest.approx(2)  # 0 points at 1 px, 6 at 3 px: half of the way
    assert kept_px(found, "large", 7) == 3  # the widest
    assert kept_px(found, "medium", 1) == 3
    assert kept_px([learned(CLEAN, 0, None)], "large", 1) is None
    assert kept_px([learned("dilation", 1, 0.9)], "large", 1) is None
    assert kept_px([learned(CLEAN, 0, 0.9), learned("dilation", 1, 0.7)], "large", 5) == pytest.approx(0.25)


def test_noises_by_name() -> None:
    assert read_noise("none") == Noise("none", 0)
    assert str(read_noise("dilation:2.5")) == "dilation:2.5"
    assert read_noise("wrong_class:0.3") == Noise("wrong_class", 0.3)
    for wrong in ("fog:3", "dilation:x", "dilation:-1", "wrong_class:3", ""):
        with pytest.raises(UserError, match="is no noise"):
            read_noise(wrong)


def test_distorting_is_repeatable_and_none_changes_nothing() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:40] = 1
    labels = {0: mask, 5: mask}
    assert distorted(labels, Noise(CLEAN, 0), 2, 0)[5] is mask
    wide = distorted(labels, Noise("dilation", 2), 2, 0)
    # four sides of 2 x 20, and at each corner the pixel beside it: the next are farther than 2 px away
    assert [int(one.sum()) for one in wide.values()] == [400 + 4 * 40 + 4] * 2
    half = distorted(labels, Noise("missing_object", 0.5), 2, 0)
    assert sorted(int(one.sum()) for one in half.values()) == [0, 400]
    for index, again in distorted(labels, Noise("mixed", 3), 2, 7).items():
        np.testing.assert_array_equal(again, distorted(labels, Noise("mixed", 3), 2, 7)[index])
