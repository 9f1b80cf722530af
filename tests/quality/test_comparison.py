"""Two label sets that were made for it: every number of the comparison is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quality.average_precision import agreement
from quality.comparison import Thresholds, compare, fit_exponential, size_of
from quality.matching import AMBIGUOUS, CONFIDENT, NONE
from workspace.instance import Instance


def square(y: int, x: int, side: int, class_id: int = 0, **more: object) -> Instance:
    return Instance(class_id, y, x, np.ones((side, side), bool), **more)


def test_counts_matches_and_classes():
    first = [square(0, 0, 40, 0, vertices=4), square(100, 0, 100, 1), square(0, 100, 3), square(50, 100, 20, 1)]
    second = [square(0, 0, 40, 1, vertices=9), square(102, 0, 100, 1), square(300, 300, 12, 2)]
    found = compare([("one", first, second)], 3, Thresholds())
    a, b = found.counts
    assert (a.images, a.instances, a.ignored, a.vertices) == (1, 3, 1, 4)  # 3x3 = 9 pixels are below 10
    assert a.by_size == {"small": 1, "medium": 1, "large": 1}  # 20^2, 40^2, 100^2
    assert (b.instances, b.vertices, b.by_class) == (3, 9, {1: 2, 2: 1})
    # 98 of 102 rows overlap: 0.961 is confident
    assert found.matches == {CONFIDENT: 2, AMBIGUOUS: 0, "multiple": 0, NONE: 1}
    assert found.confusion.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert [(name, one.class_id) for name, one in found.unmatched] == [("one", 2)]
    distances = found.distances()  # of the pair with one class only
    assert len(distances) == 1
    # two squares 2 px apart: the sides along the shift lie on each other, the others are 2 px away
    assert 0.9 < distances[0] < 1.1
    assert found.distances("large").tolist() == distances.tolist()
    assert found.distances("small").size == 0
    assert found.largest(1)[0].first is first[1]
    assert found.largest(9)[-1].second is None


def test_crowds_are_left_out():
    many = [square(0, 10 * i, 5) for i in range(76)]
    found = compare([("one", [*many, square(50, 0, 9, 1)], [square(50, 0, 9, 1)])], 2, Thresholds())
    assert found.crowded == 1
    assert found.matches[CONFIDENT] == 1
    assert sum(found.matches.values()) == 1
    assert found.counts[0].instances == 77
    marked = compare([("one", [square(0, 0, 50, crowd=True)], [])], 1, Thresholds())
    assert (marked.counts[0].crowds, sum(marked.matches.values())) == (1, 0)


@pytest.mark.parametrize(("area", "size"), [(1023, "small"), (1024, "medium"), (9215, "medium"), (9216, "large")])
def test_sizes(area: int, size: str):
    assert size_of(area) == size


def test_the_exponential_fit():
    rng = np.random.default_rng(0)
    fit = fit_exponential(np.append(rng.exponential(2.5, 20_000), math.inf))
    assert fit.mean == pytest.approx(2.5, rel=0.03)
    assert fit.count == 20_000
    assert fit.ks < 0.02
    assert fit_exponential(np.full(50, 3.0)).ks == pytest.approx(1 - math.exp(-1))  # all at the mean: 63 % lie below
    assert math.isnan(fit_exponential(np.array([math.inf])).mean)


def test_agreement_on_paper():
    wanted = [square(0, 0, 40), square(100, 100, 40)]
    got = [square(0, 0, 40), square(200, 200, 40)]  # one hit, one false alarm, one miss
    found = agreement([(got, wanted, 300, 300)], 1)
    assert (found.precision, found.recall, found.f) == (0.5, 0.5, 0.5)
    assert agreement([(wanted, wanted, 300, 300)], 1).ap == pytest.approx(1)
    assert agreement([([], wanted, 300, 300)], 1).recall == 0
    assert math.isnan(agreement([(got, [], 300, 300)], 1).ap)


def test_agreement_needs_the_overlap_it_says():
    # 36 of 44 rows overlap: IoU 0.818 counts at 7 of the 10 thresholds from 0.5 to 0.95
    found = agreement([([square(4, 0, 40)], [square(0, 0, 40)], 100, 100)], 1)
    assert found.ap == pytest.approx(0.7)
    assert (found.ap50, found.ap75) == pytest.approx((1.0, 1.0))
    assert found.medium == pytest.approx(0.7)
    assert math.isnan(found.small)
