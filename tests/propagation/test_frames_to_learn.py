"""Which frames a fit learns from when some are labeled in part."""

from propagation.fit import frames_to_judge, frames_to_learn


def test_whole_frames_come_before_parts():
    known = {index: 100 for index in range(10)} | {4: 1000, 7: 990}  # 1000 pixels are a frame, void left out
    assert frames_to_learn(known, 99) == list(range(10))
    assert frames_to_learn(known, 2) == [4, 7]
    learned = frames_to_learn(known, 5)
    assert {4, 7} < set(learned)
    assert len(learned) == 5
    assert frames_to_judge(known, learned) == [4, 7]


def test_alike_frames_are_spread_evenly():
    known = dict.fromkeys(range(11), 50)
    assert frames_to_learn(known, 3) == [0, 5, 10]
    assert frames_to_learn(known, 1) == [5]
    assert frames_to_judge(known, [0, 5, 10]) == [0, 5, 10]


def test_one_whole_frame_cannot_judge_alone():
    assert frames_to_judge({0: 1000, 1: 10, 2: 0}, [0, 1]) == [0, 1]
    assert frames_to_learn({0: 1000, 1: 10, 2: 0}, 9) == [0, 1]  # 2 has an answer that knows no pixel
    assert frames_to_learn({}, 9) == []
