"""Signs of wrong labels: a square that stands still, and what is done to its label."""

from __future__ import annotations

import numpy as np
import pytest

from quality.contradiction import (
    above_usual,
    contradicted,
    contradictions,
    hidden_contradictions,
    uncovered,
    unusual,
)
from quality.planted_errors import KINDS, missing_object, phantom, shifted_contour, swapped_ids, wrong_class
from quality.suspicion import Regions, Sign, both_sides, disbelief, doubts, regions_of, shift

H, W = 40, 60


def scene(y: int = 10, x: int = 20, class_id: int = 1) -> np.ndarray:
    mask = np.zeros((H, W), np.uint8)
    mask[y : y + 12, x : x + 12] = class_id
    return mask


def told(*masks: np.ndarray) -> np.ndarray:
    """Witnesses: the nearest earlier, the one before it, the nearest later, the one after it."""
    return np.stack(masks).reshape(2, 2, H, W)


GOOD = told(*[scene()] * 4)


def contradiction(label: np.ndarray, witnesses: np.ndarray, regions: Regions) -> Sign:
    """Of a label among many that nothing is said against."""
    return max(contradictions(label, witnesses, regions).values(), key=lambda sign: sign.score, default=Sign(0.0))


def test_regions_are_numbered_class_by_class():
    mask = scene()
    mask[0, 0], mask[30:32, 30:32] = 255, 1
    found = regions_of(mask)
    assert found.class_id.tolist() == [0, 1, 1]
    assert found.area.tolist() == [H * W - 144 - 1 - 4, 144, 4]
    assert found.box[1].tolist() == [10, 20, 12, 12]
    assert found.ids[0, 0] == -1
    assert (found.ids[10:22, 20:32] == 1).all()
    assert regions_of(np.full((2, 2), 255, np.uint8)).area.size == 0


def test_a_label_that_all_agree_with_shows_no_sign():
    label = scene()
    regions = regions_of(label)
    assert contradiction(label, GOOD, regions).score == 0
    assert shift(label, GOOD, regions).score == 0


def test_a_wrong_class_and_a_missing_object():
    wrong = scene(class_id=2)
    sign = contradiction(wrong, GOOD, regions_of(wrong))
    assert (sign.class_id, sign.instead, sign.share, sign.box) == (2, 1, 1.0, (10, 20, 12, 12))
    assert sign.score == pytest.approx(np.log(144))
    empty = np.zeros((H, W), np.uint8)
    sign = contradiction(empty, GOOD, regions_of(empty))
    assert (sign.class_id, sign.instead, sign.share, sign.box) == (0, 1, 1.0, (10, 20, 12, 12))


def test_what_many_labels_show_is_usual_for_these_two_classes_only():
    flicker, rare = Sign(5.0, class_id=1, instead=2), Sign(3.0, class_id=1, instead=3)
    signs = unusual([{(1, 2): flicker}] * 10 + [{(1, 2): flicker, (1, 3): rare}])
    assert [sign.score for sign in signs] == [0.0] * 10 + [3.0]
    assert signs[10].instead == 3
    # with one mistake per ten labels nothing is usual, and it does not matter whose mistake comes first
    (lonely,) = [sign for sign in unusual([{}] * 9 + [{(1, 2): flicker}]) if sign.score > 0]
    assert lonely == flicker
    first, second, *_ = unusual([{(0, 1): Sign(4.0)}, {(0, 1): Sign(6.0)}, {(0, 1): Sign(5.0)}])
    # between two classes alone it changes no order: 4 - 5, 6 - 4, 5 - 4
    assert (first.score, second.score) == (-1.0, 2.0)
    assert unusual([]) == []
    assert unusual([{}]) == [Sign(0.0)]
    assert unusual([{(1, 2): flicker}]) == [flicker]


def test_what_is_usual_is_no_sign():
    assert above_usual(np.array([-5.0, -0.1, 0.0, 2.5])).tolist() == [0, 0, 0, 2.5]


def test_the_mistake_of_a_neighbour_is_not_held_against_a_label():
    label, missing = scene(), np.zeros((H, W), np.uint8)
    witnesses = told(missing, scene(), scene(), scene())
    assert contradiction(label, witnesses, regions_of(label)).score == 0
    assert shift(label, told(scene(x=23), scene(), scene(), scene()), regions_of(label)).score == 0


def test_two_that_support_it_outweigh_two_that_do_not():
    label = scene()
    missing = np.zeros((H, W), np.uint8)
    assert contradiction(label, told(missing, label, missing, label), regions_of(label)).score == 0
    assert contradiction(label, told(missing, missing, missing, label), regions_of(label)).share == 1


def test_two_neighbours_that_lack_the_same_object_do_not_hide_each_other():
    missing, there, regions = np.zeros((H, W), np.uint8), scene(), regions_of(np.zeros((H, W), np.uint8))
    beside = told(missing, there, there, there), told(there, there, missing, there)
    assert [contradictions(missing, one, regions) for one in beside] == [{}, {}]
    hidden = [hidden_contradictions(missing, one, regions) for one in beside]
    expected = Sign(np.log(144), (10, 20, 12, 12), 0, 1, 1.0)
    assert uncovered([{}, {}, {}], [{}, *hidden]) == [{}, {(0, 1): expected}, {(0, 1): expected}]
    # alone, or beside one that has another class too much, it shows nothing
    assert uncovered([{}, {}, {}], [hidden[0], {}, hidden[1]]) == [{}, {}, {}]
    other = {(0, 1): Sign(5.0, class_id=1, instead=0)}
    assert uncovered([{}, {}], [hidden[0], other]) == [{}, {}]
    # the lesser counts for both, and nothing that was found before is lost
    lesser, greater = {(0, 1): Sign(3.0, class_id=0)}, {(0, 1): Sign(9.0, class_id=0)}
    assert [one[0, 1].score for one in uncovered([greater, {}], [hidden[0], lesser])] == [9.0, 3.0]
    # a third one would be as many as those that have it; and three have to say the same class
    assert hidden_contradictions(missing, told(missing, there, missing, there), regions) == {}
    assert hidden_contradictions(missing, told(scene(class_id=2), there, missing, there), regions) == {}
    # where a third of it is missing, no whole region is
    part = there.copy()
    part[18:] = 0
    assert hidden_contradictions(part, told(part, there, there, there), regions_of(part)) == {}
    assert uncovered([], []) == []


def test_the_pixels_of_what_is_contradicted_almost_as_a_whole():
    wrong, missing, others = scene(class_id=2), np.zeros((H, W), np.uint8), scene() == 1
    np.testing.assert_array_equal(contradicted(wrong, GOOD, regions_of(wrong)), others)
    np.testing.assert_array_equal(contradicted(missing, GOOD, regions_of(missing)), others)
    # 8 of 12 columns of the region are beside what the others have, less than 70 %
    beside = scene(x=28)
    assert not contradicted(beside, GOOD, regions_of(beside)).any()
    # of 9 of 12, 75 %, both the region of the label and that of the others are doubtful, where they do not overlap too
    beside = scene(x=29)
    np.testing.assert_array_equal(
        contradicted(beside, GOOD, regions_of(beside)), (beside == 1) | others & (beside == 0)
    )
    assert not contradicted(scene(), GOOD, regions_of(scene())).any()
    unknown = np.full((H, W), 255, np.uint8)
    assert not contradicted(unknown, GOOD, regions_of(unknown)).any()


def test_at_the_end_of_a_video_one_side_speaks_with_two_voices():
    nobody = np.full((H, W), 255, np.uint8)
    label = scene(class_id=2)
    assert contradiction(label, told(scene(), scene(), nobody, nobody), regions_of(label)).share == 1
    assert contradiction(label, told(nobody, nobody, scene(), scene()), regions_of(label)).share == 1
    assert contradiction(label, told(scene(), label, nobody, nobody), regions_of(label)).score == 0
    assert contradiction(label, told(nobody, nobody, nobody, nobody), regions_of(label)).score == 0
    first, second = both_sides(told(scene(), label, nobody, nobody))
    assert (first == scene()).all()
    assert (second == label).all()


@pytest.mark.parametrize(("y", "x"), [(10, 23), (13, 20), (8, 18)])
def test_a_square_beside_its_place(y: int, x: int):
    label = scene(y, x)
    sign = shift(label, GOOD, regions_of(label))
    assert sign.class_id == 1
    assert sign.box == (y, x, 12, 12)
    # a square moved by (dy, dx) overlaps by (12 - dy)(12 - dx); its contour has 44 pixels
    gained = 144 - (12 - abs(y - 10)) * (12 - abs(x - 20))
    assert sign.score == pytest.approx(gained / np.sqrt(44))


def test_unknown_pixels_are_nobodys_mistake():
    label = scene()
    label[5:30, 15:40] = 255
    assert contradiction(label, GOOD, regions_of(label)).score == 0


def test_doubt_is_measured_within_a_class():
    labels = [scene() for _ in range(5)]
    believed = []
    for number, label in enumerate(labels):
        model = np.empty((2, H, W), np.float32)
        # class 1 is never quite believed; in label 3 hardly at all
        model[1] = np.where(label == 1, 0.05 if number == 3 else 0.5, 0.02)
        model[0] = 1 - model[1]
        regions = regions_of(label)
        believed.append((disbelief(label, model, (0, 1), regions), regions))
    signs = doubts(believed)
    assert int(np.argmax([sign.score for sign in signs])) == 3
    assert [sign.score > 0 for sign in signs] == [False, False, False, True, False]
    assert signs[3].class_id == 1
    assert signs[3].score == pytest.approx((np.log(0.501) - np.log(0.051)) * np.log(144), rel=1e-4)
    assert doubts([]) == []


def many() -> np.ndarray:
    mask = scene()
    mask[28:36, 5:15], mask[25:35, 40:50] = 2, 3
    return mask


def test_planted_mistakes_are_what_they_say():
    rng = np.random.default_rng(0)
    mask = many()
    areas = {1: 144, 2: 80, 3: 100}
    changed = wrong_class(mask, 4, rng)
    assert changed is not None
    where = mask[changed != mask]
    assert len(np.unique(where)) == 1
    assert len(where) == areas[int(where[0])]
    gone = missing_object(mask, 4, rng)
    assert gone is not None
    assert set(np.unique(mask)) - set(np.unique(gone))
    assert (gone[gone != mask] == 0).all()
    moved = shifted_contour(mask, 4, rng)
    assert moved is not None
    assert 0 < (moved != mask).sum() < 2 * 3 * 12 * 2
    assert sorted(np.bincount(moved.ravel())) == sorted(np.bincount(mask.ravel()))
    swapped = swapped_ids(mask, 4, rng)
    assert swapped is not None
    one, other = np.unique(mask[swapped != mask])
    assert (swapped[mask == one] == other).all()
    assert (swapped[mask == other] == one).all()


def test_of_two_classes_the_mistake_is_an_object_too_many():
    mask = scene()
    changed = phantom(mask, np.random.default_rng(0))
    assert changed is not None
    assert (changed == 1).sum() == 144 + 36
    assert swapped_ids(mask, 2, np.random.default_rng(0)) is None
    empty = np.zeros((H, W), np.uint8)
    assert all(plant(empty, 2, np.random.default_rng(0)) is None for plant in KINDS.values())
