"""The rubric: each mistake alone, what it costs, and the verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from quality.rubric import LOOK_AGAIN, PASS, REDO, Mistake, grade, grade_batch, lacks_a_part, mistakes
from workspace.config import RubricConfig
from workspace.instance import Instance

RUBRIC = RubricConfig()


def square(y: int, x: int, side: int = 40, class_id: int = 0, **more: object) -> Instance:
    return Instance(class_id, y, x, np.ones((side, side), bool), **more)


def kinds(label: list[Instance], reference: list[Instance], ids: dict[str, str | None] | None = None) -> list[str]:
    return [m.kind for m in mistakes(label, reference, RUBRIC, {} if ids is None else ids)]


def test_the_published_penalties_are_the_defaults():
    assert RUBRIC.penalties == {
        "omission": 1.0, "inaccurate": 1.0, "wrong_class": 0.2, "missing_part": 0.2, "tracking_id": 0.2,
        "attribute": 0.05, "extra": 0.0,
    }  # fmt: skip
    assert RUBRIC.critical == ("omission", "inaccurate")
    assert (RUBRIC.ignore_below_px, RUBRIC.crowd_above, RUBRIC.inaccurate_instances) == (10, 75, 2)


def test_each_mistake():
    assert kinds([square(0, 0)], [square(0, 0)]) == []
    assert kinds([], [square(0, 0)]) == ["omission"]
    assert kinds([], [square(0, 0, side=3)]) == []  # 9 pixels
    assert kinds([square(0, 0)], []) == ["extra"]
    assert kinds([square(0, 0, class_id=1)], [square(0, 0)]) == ["wrong_class"]
    assert kinds([square(0, 0)], [square(0, 0, attributes={"occluded": "yes"})]) == ["attribute"]
    assert kinds([square(0, 0, 30)], [square(0, 0, 40)]) == ["missing_part"]
    crowd = [square(0, 50 * i) for i in range(76)]
    assert kinds([], crowd) == []


def test_one_inaccurate_instance_is_none_two_are_one_mistake():
    # Grown by 3 px on each side: nothing is missing, the contour lies about 3 px off.
    grown = [square(-3, -3, 46), square(97, 97, 46)]
    exact = [square(0, 0), square(100, 100)]
    assert kinds(grown[:1], exact[:1]) == []
    assert kinds(grown, exact) == ["inaccurate"]


def test_a_changed_id_costs_once():
    ids: dict[str, str | None] = {}
    assert kinds([square(0, 0, track="a")], [square(0, 0, track="7")], ids) == []
    assert kinds([square(0, 0, track="b")], [square(0, 0, track="7")], ids) == ["tracking_id"]
    assert kinds([square(0, 0, track="b")], [square(0, 0, track="7")], ids) == []


def test_a_thin_rim_is_no_part():
    whole = square(0, 0, 40)
    assert not lacks_a_part(square(2, 2, 36), whole, 2.0, 10)
    assert lacks_a_part(square(0, 0, 36), whole, 2.0, 10)  # two rows along two sides beyond the tolerance
    spot = whole.mask.copy()
    spot[10:13, 10:13] = False
    assert not lacks_a_part(Instance(0, 0, 0, spot), whole, 2.0, 10)


@pytest.mark.parametrize(
    ("found", "score", "verdict", "reason"),
    [
        ([], 1.0, PASS, ""),
        (["attribute"], 0.95, PASS, "1 x attribute (5% each)"),
        (["wrong_class"], 0.8, LOOK_AGAIN, "1 x wrong class (20% each)"),
        (["wrong_class", "missing_part"], 0.6, REDO, "1 x missing part (20% each), 1 x wrong class (20% each)"),
        (["omission"], 0.0, REDO, "1 x omission (100% each)"),
        (["extra"], 1.0, PASS, ""),
    ],
)
def test_marks(found: list[str], score: float, verdict: str, reason: str):
    mark = grade([Mistake(kind, 0, 0, 0) for kind in found], RUBRIC)
    assert mark.score == pytest.approx(score)
    assert (mark.verdict, mark.reason) == (verdict, reason)


def test_a_critical_mistake_is_redone_whatever_it_costs():
    lenient = RubricConfig(omission=0.01)
    assert grade([Mistake("omission", 0, 0, 0)], lenient).verdict == REDO


def test_a_batch_has_the_mean_mark():
    omitted = [Mistake("omission", 0, 0, 0)]
    batch = grade_batch({"a": [], "b": [], "c": [], "d": omitted}, RUBRIC)
    assert batch.score == 0.75
    assert (batch.verdict, batch.reason) == (REDO, "1 x omission (100% each)")
    with pytest.raises(ValueError, match="no image"):
        grade_batch({}, RUBRIC)


def test_bars_in_the_wrong_order():
    with pytest.raises(ValueError, match=r"redo_below 0\.9 is above pass_at 0\.5"):
        RubricConfig(pass_at=0.5, redo_below=0.9)
