"""Expected calibration error, on cases that can be worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from quality.calibration import calibration_counts, expected_calibration_error


def test_a_calibrated_model_has_none() -> None:
    confidence = np.full(10, 0.8)
    counts = calibration_counts(confidence, np.arange(10) < 8)
    assert expected_calibration_error(counts) == pytest.approx(0.0)


def test_two_bins_by_hand() -> None:
    # 4 predictions at 0.95 of which 2 are right: |0.5 - 0.95|; 1 at 0.5 that is right: |1 - 0.5|
    counts = calibration_counts(np.array([0.95] * 4 + [0.5]), np.array([True, True, False, False, True]), bins=10)
    assert expected_calibration_error(counts) == pytest.approx((4 * 0.45 + 1 * 0.5) / 5)


def test_frames_may_be_added_and_certainty_has_a_bin() -> None:
    first = calibration_counts(np.array([1.0]), np.array([True]))
    second = calibration_counts(np.array([1.0]), np.array([False]))
    assert expected_calibration_error(first + second) == pytest.approx(0.5)
    assert first[0, -1] == 1
    assert np.isnan(expected_calibration_error(np.zeros((3, 15))))
    with pytest.raises(ValueError, match="confidence is"):
        calibration_counts(np.zeros(2), np.zeros(3, bool))
