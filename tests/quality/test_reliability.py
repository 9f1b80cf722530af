import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quality.consolidation import majority
from quality.reliability import Reliability, add_votes, count_votes, estimate_reliability, most_probable

stacks = arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(12)), elements=st.sampled_from([0, 1, 3, 255]))


def row(*ids):
    return np.array([ids], np.uint8)


def said(truth, confusion, rng):
    """One annotator's answers: drawn from the row of `confusion` that the truth selects."""
    steps = confusion.cumsum(axis=1)[truth]
    return (rng.random(truth.shape)[..., None] > steps[..., :-1]).sum(axis=-1).astype(np.uint8)


def steady(accuracy, classes):
    """Right with probability `accuracy` in every class, else any other class."""
    off = (1 - accuracy) / (classes - 1)
    return np.where(np.eye(classes, dtype=bool), accuracy, off)


def test_equal_cases_are_counted_together_and_silence_is_none():
    votes = count_votes([row(0, 0, 1, 255, 255), row(0, 0, 2, 2, 255)], [2, 0], 3)
    found = {(tuple(case), count) for case, count in zip(votes.cases.tolist(), votes.counts.tolist(), strict=True)}
    assert found == {((0, 255, 0), 2), ((2, 255, 1), 1), ((2, 255, 255), 1)}
    both = add_votes([votes, votes], 3)
    assert sorted(both.counts.tolist()) == [2, 2, 4]


def test_two_masks_of_one_person_are_an_error():
    with pytest.raises(ValueError, match="annotator of its own"):
        count_votes([row(0), row(1)], [0, 0], 2)


def test_a_class_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="class id 7 in votes on 3 classes"):
        estimate_reliability(count_votes([row(7), row(1)], [0, 1], 2), 3)


@given(stacks)
def test_no_vote_is_lost(stack):
    votes = count_votes(list(stack), range(len(stack)), len(stack))
    for a, mask in enumerate(stack):
        for k in (0, 1, 3):
            assert votes.counts[votes.cases[:, a] == k].sum() == (mask == k).sum()


def test_known_reliability_is_recovered_from_pixels_without_the_truth():
    rng = np.random.default_rng(0)
    truth = rng.choice(4, 60_000, p=[0.5, 0.3, 0.15, 0.05]).astype(np.uint8).reshape(200, 300)
    accuracies = np.array([0.95, 0.9, 0.8, 0.5])
    masks = [said(truth, steady(p, 4), rng) for p in accuracies]
    found = estimate_reliability(count_votes(masks, range(4), 4), 4)
    np.testing.assert_allclose(found.accuracy, accuracies, atol=0.01)
    np.testing.assert_allclose(found.prior, [0.5, 0.3, 0.15, 0.05], atol=0.01)
    for a, p in enumerate(accuracies):
        np.testing.assert_allclose(found.confusion[a], steady(p, 4), atol=0.03)
    np.testing.assert_allclose(found.confusion.sum(axis=2), 1)


def test_a_confusion_that_is_not_symmetric_is_recovered_from_choices():
    """300 superpixels: the third person calls most of class 1 class 2, and is otherwise good."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 3000).astype(np.uint8)
    habit = np.array([[0.9, 0.05, 0.05], [0.05, 0.15, 0.8], [0.05, 0.05, 0.9]])
    people = [steady(0.9, 3), steady(0.85, 3), habit]
    parts = [count_votes([said(truth[i : i + 1], c, rng) for c in people], range(3), 3) for i in range(len(truth))]
    found = estimate_reliability(add_votes(parts, 3), 3)
    np.testing.assert_allclose(found.confusion[2], habit, atol=0.05)


def test_people_who_never_met_are_compared_through_others():
    """Each sample is seen by two of four people; who is bad shows all the same."""
    rng = np.random.default_rng(2)
    accuracies = [0.95, 0.9, 0.92, 0.6]
    parts = []
    for i in range(60):
        truth = rng.integers(0, 3, (20, 20)).astype(np.uint8)
        pair = [i % 4, (i + 1 + i // 4 % 3) % 4]
        parts.append(count_votes([said(truth, steady(accuracies[a], 3), rng) for a in pair], pair, 4))
    found = estimate_reliability(add_votes(parts, 4), 3)
    np.testing.assert_allclose(found.accuracy, accuracies, atol=0.05)


def test_with_one_bad_annotator_the_result_beats_the_majority():
    """Two who see most, one who draws at random: the majority loses ties to whoever came first."""
    rng = np.random.default_rng(3)
    truth = np.zeros((80, 120), np.uint8)
    truth[20:60, 30:90] = 1
    truth[50:70, 10:40] = 2
    people = [steady(0.4, 3), steady(0.92, 3), steady(0.88, 3)]  # the bad one answered first
    masks = [said(truth, c, rng) for c in people]
    reliability = estimate_reliability(count_votes(masks, range(3), 3), 3)
    ours = most_probable(masks, range(3), reliability)
    wrong, wrong_majority = (ours != truth).mean(), (majority(masks) != truth).mean()
    assert wrong < wrong_majority / 1.3
    assert reliability.accuracy.argmin() == 0


def test_the_answer_by_hand():
    """Prior 1/2 each; one of 0.9 says 0, two of 0.6 say 1: 0.9 * 0.4^2 = 0.144 > 0.036 = 0.1 * 0.6^2."""
    confusion = np.stack([steady(p, 2) for p in (0.9, 0.6, 0.6)])
    reliability = Reliability(confusion, np.array([0.5, 0.5]), np.ones(3))
    assert most_probable([row(0, 255), row(1, 1), row(1, 255)], range(3), reliability).tolist() == [[0, 1]]
    assert majority([row(0), row(1), row(1)]).tolist() == [[1]]


def test_only_what_somebody_named_is_answered():
    confusion = np.array([[[0.1, 0.9], [0.1, 0.9]]])  # says 1 whatever is there, and class 0 is far more frequent
    reliability = Reliability(confusion, np.array([0.99, 0.01]), np.ones(1))
    assert most_probable([row(1, 255, 0)], [0], reliability).tolist() == [[1, 255, 0]]


@given(stacks)
def test_where_all_agree_nothing_changes(stack):
    agreed = np.where((stack == stack[0]).all(axis=0), stack[0], 255)
    reliability = estimate_reliability(count_votes(list(stack), range(len(stack)), len(stack)), 4)
    result = most_probable(list(stack), range(len(stack)), reliability)
    assert (result[agreed != 255] == agreed[agreed != 255]).all()
    assert ((result == 255) == (stack == 255).all(axis=0)).all()


def test_without_shared_answers_everybody_is_trusted_alike():
    found = estimate_reliability(count_votes([row(0, 255), row(255, 1)], [0, 1], 2), 3)
    assert np.allclose(found.accuracy, 0.9)
    assert found.weight.tolist() == [0, 0]
