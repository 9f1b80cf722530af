"""What a click sequence tells of the mask, worked out on paper, and a model that learns it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.care_model import SHIPPED
from quality.click_care import features_of, found_by_share, learn_care
from workspace.click_sequence import SequenceClick, from_rows, to_rows


def test_features_are_worked_out_on_paper() -> None:
    sequence = (
        SequenceClick(0.0, 0.5, 0.5, True, 0.04, 0.04),
        SequenceClick(2.0, 0.5, 0.7, True, 0.02, 0.05),
        SequenceClick(3.0, 0.3, 0.6, False, 0.01, 0.04),
    )
    count, negative, median, shortest, spread, last, typical, left, size = features_of(sequence)
    assert count == pytest.approx(np.log(3))
    assert negative == pytest.approx(1 / 3)
    assert median == pytest.approx(np.log(2) / 2)  # between ln 2 and ln 1
    assert shortest == 0.0
    # variances of y: 2/225, of x: 1/150; the mask's side is 0.2
    assert spread == pytest.approx(np.sqrt(2 / 225 + 1 / 150) / 0.2)
    assert last == pytest.approx(0.25)
    assert typical == pytest.approx(0.375)  # between 0.5 and 0.25
    assert left == 1.0
    assert size == pytest.approx(np.log(0.04))


clicks = st.builds(
    SequenceClick,
    st.floats(0, 1e5),
    *[st.floats(0, 1)] * 2,
    st.booleans(),
    *[st.floats(0, 1)] * 2,
)


@given(st.lists(clicks, min_size=1, max_size=30))
def test_any_sequence_has_numbers_and_comes_back_from_its_rows(sequence) -> None:
    sequence = tuple(sorted(sequence, key=lambda click: click.seconds))
    assert np.isfinite(features_of(sequence)).all()
    assert 0 <= SHIPPED.predict(sequence) <= 1
    back = from_rows(to_rows(sequence))
    assert len(back) == len(sequence)
    for one, other in zip(back, sequence, strict=True):
        assert one.positive == other.positive
        assert one.seconds == pytest.approx(other.seconds, abs=1e-3)
        assert (one.y, one.changed) == pytest.approx((other.y, other.changed), abs=1e-3)


@pytest.mark.parametrize(
    "rows", [None, [], "abc", [[1, 2]], [[0, 0, 0, 0, 0, 2]], [[float("nan"), 0, 0, 0, 0, 0]], [None], [["a"] * 6]]
)
def test_what_is_no_sequence_is_refused(rows) -> None:
    with pytest.raises(ValueError, match=r"click|convert|unpack"):
        from_rows(rows)


def test_a_model_learns_that_hasty_masks_are_worse() -> None:
    rng = np.random.default_rng(0)

    def clicked(care: float) -> tuple[SequenceClick, ...]:
        count = 1 + round(6 * care)
        pace = 0.3 + 3 * care
        return tuple(
            SequenceClick(pace * k, 0.5, 0.5 + 0.1 * rng.uniform(), True, 0.1 / (1 + k), 0.1) for k in range(count)
        )

    cares = rng.uniform(size=200)
    model = learn_care([clicked(care) for care in cares], list(0.5 + 0.45 * cares))
    assert model.predict(clicked(0.95)) > model.predict(clicked(0.05)) + 0.3
    errors = [abs(model.predict(clicked(care)) - (0.5 + 0.45 * care)) for care in rng.uniform(size=50)]
    assert np.mean(errors) < 0.05
    with pytest.raises(ValueError, match="1 sequences for 1"):
        learn_care([clicked(1.0)], [1.0])


def test_the_shipped_model_trusts_patience_more_than_haste() -> None:
    hasty = (SequenceClick(0.0, 0.5, 0.5, True, 0.05, 0.05), SequenceClick(0.4, 0.2, 0.9, False, 0.05, 0.02))
    patient = tuple(
        SequenceClick(3.0 * k, 0.5, 0.45 + 0.02 * k, True, change, 0.1)
        for k, change in enumerate((0.09, 0.02, 0.004, 0.002))
    )
    assert SHIPPED.predict(patient) > SHIPPED.predict(hasty) + 0.05


def test_the_share_found_is_counted() -> None:
    wrong = np.array([True, False, True, False, False])
    assert found_by_share(np.array([2, 1, 0, 3, 4]), wrong, 0.4) == 0.5
    assert found_by_share(np.array([2, 0, 1, 3, 4]), wrong, 0.4) == 1.0
    assert np.isnan(found_by_share(np.array([0]), np.array([False]), 0.5))
