import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from selection.uncertainty import class_weights, disagreement, entropy, least_confidence, margin, pooled

MEASURES = [entropy, least_confidence, margin]
scores = arrays(
    np.float32, st.tuples(st.integers(1, 5), st.just(3), st.just(4)), elements=st.floats(0.0, 1.0, width=32)
)


def pixel(*p, dtype=np.float32):
    return np.array(p, dtype).reshape(-1, 1, 1)


def distribution(values):
    total = values.sum(axis=0)
    return np.where(total > 0, values / np.where(total > 0, total, 1), 1 / len(values)).astype(np.float32)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_certain_is_zero_and_all_alike_is_one(measure, dtype):
    assert measure(pixel(0, 1, 0, dtype=dtype)).item() == 0
    assert measure(pixel(0.25, 0.25, 0.25, 0.25, dtype=dtype)).item() == pytest.approx(1)
    assert measure(pixel(1, dtype=dtype)).item() == 0
    assert measure(pixel(0.5, 0.5, dtype=dtype)).dtype == np.float32


def test_three_measures_on_paper():
    p = pixel(0.5, 0.25, 0.25)
    assert entropy(p).item() == pytest.approx(1.5 / np.log2(3))  # 1/2 + 2 * 1/4 * 2 = 1.5 bits of log2(3)
    assert least_confidence(p).item() == pytest.approx(0.5 * 3 / 2)
    assert margin(p).item() == pytest.approx(1 - 0.25)


def test_disagreement_on_paper():
    assert disagreement(pixel(1, 0), pixel(0, 1)).item() == pytest.approx(1)
    assert disagreement(pixel(0.3, 0.7), pixel(0.3, 0.7)).item() == pytest.approx(0, abs=1e-6)
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4): (log2(4/3) + (log2(2/3) + log2(2)) / 2) / 2
    expected = (np.log2(4 / 3) + (np.log2(2 / 3) + 1) / 2) / 2
    assert disagreement(pixel(1, 0), pixel(0.5, 0.5)).item() == pytest.approx(expected, rel=1e-5)


@given(scores)
def test_measures_stay_between_zero_and_one_and_ignore_the_order_of_classes(values):
    p = distribution(values)
    for measure in MEASURES:
        result = measure(p)
        assert result.shape == (3, 4)
        assert ((result >= 0) & (result <= 1)).all()
        assert np.allclose(result, measure(p[::-1]), atol=1e-5)


@given(scores, st.randoms())
def test_disagreement_is_symmetric(values, random):
    p = distribution(values)
    order = list(range(len(p)))
    random.shuffle(order)
    q = p[order]
    assert np.allclose(disagreement(p, q), disagreement(q, p), atol=1e-6)


def test_an_undefined_probability_is_not_hidden():
    assert np.isnan(entropy(pixel(np.nan, 0.5))).all()


def test_only_pixels_that_count_are_pooled():
    values = np.array([[1.0, 0.5], [0.25, 0.0]], np.float32)
    counts = np.array([[True, True], [False, False]])
    assert pooled(values, counts) == 0.75
    assert pooled(values, np.zeros((2, 2), bool)) == 0
    weight = np.array([[2.0, 0.0], [9.0, 9.0]], np.float32)
    assert pooled(values, counts, weight) == 1.0


def test_class_weights_on_paper():
    # frequencies 0.8 and 0.2: roots 0.894 and 0.447, so the rare class weighs twice as much; the mean is 1
    weights = class_weights(np.array([80, 20, 0]))
    assert weights[1] / weights[0] == pytest.approx(2)
    assert 0.8 * weights[0] + 0.2 * weights[1] == pytest.approx(1)
    assert weights[2] == weights[1]
    assert class_weights(np.array([80, 20]), power=0.0).tolist() == pytest.approx([1, 1])
    assert class_weights(np.array([80, 20]), power=1.0).tolist() == pytest.approx([0.625, 2.5])
    assert class_weights(np.zeros(3, np.int64)).tolist() == [1, 1, 1]
