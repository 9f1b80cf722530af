"""Which frames a fit learns from when some are labeled in part."""

from propagation.fit import frames_to_learn, looks


def test_whole_frames_come_before_parts():
    known = dict.fromkeys(range(10), 100) | {4: 1000, 7: 990}  # 1000 pixels are a frame, void left out
    parts = [0, 1, 2, 3, 5, 6, 8, 9]
    assert frames_to_learn(known, 99) == ([4, 7], parts)
    assert frames_to_learn(known, 2) == ([4, 7], [])
    assert frames_to_learn(known, 4) == ([4, 7], [0, 9])
    assert frames_to_learn(known, 3) == ([4, 7], [5])


def test_alike_frames_are_spread_evenly():
    assert frames_to_learn(dict.fromkeys(range(11), 50), 3) == ([0, 5, 10], [])


def test_an_answer_that_knows_no_pixel_teaches_nothing():
    assert frames_to_learn({0: 1000, 1: 10, 2: 0}, 9) == ([0], [1])
    assert frames_to_learn({}, 9) == ([], [])


def test_parts_are_looked_at_as_much_less_as_they_are():
    assert looks({9: 25, 2: 100, 5: 60, 7: 0, 1: 10}) == {1: 0.1, 2: 1.0, 5: 1.0, 9: 0.25}
    assert looks({3: 0}) == {}
