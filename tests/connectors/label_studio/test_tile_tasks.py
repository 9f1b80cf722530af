"""What tiles share: the effort of their task, and the people who choose and paint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.label_studio.tile_tasks import answers_of_tiles, painters_wanted
from connectors.label_studio.tiles import tile_options
from connectors.labeling_tool import Effort


@pytest.mark.parametrize(
    ("opinions", "choosers", "painters", "wanted"),
    [
        (1, set(), set(), 1),  # one person, who says that it has several classes
        (2, {1}, set(), 1),  # one of two says so
        (2, set(), set(), 2),  # both do
        (2, {1}, {2}, 1),  # the other one has painted it: enough
        (2, {1}, {3}, 1),
        (2, {1}, {1}, 2),  # who had chosen has painted it: one opinion, one more is wanted
        (2, {1}, {1, 2}, 2),
        (3, {1, 2}, set(), 1),  # one more opinion on a tile that two people chose the class of
        (3, {1, 2}, {2}, 2),
        (3, {1, 2}, {3}, 1),
    ],
)
def test_so_many_paint_a_tile(opinions: int, choosers: set[int], painters: set[int], wanted: int) -> None:
    assert painters_wanted(opinions, choosers, painters) == wanted


@given(st.integers(1, 5), st.sets(st.integers(0, 5), max_size=4), st.permutations(range(6)))
def test_painting_ends_with_as_many_people_as_wanted(opinions: int, choosers: set[int], order: list[int]) -> None:
    """Whoever comes paints while the task is open, and each time it is looked how many it must be."""
    painters: list[int] = []
    for person in order:
        if len(painters) < painters_wanted(opinions, choosers, painters):
            painters.append(person)
    assert len({*choosers, *painters}) >= opinions
    assert len(painters) <= opinions


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 60))
def test_the_effort_of_a_task_is_shared_out_whole(clicks: int, keys: int, tiles: int) -> None:
    data = {"tiles": [{"fewclicks_key": f"v/1/{index}"} for index in range(tiles)]}
    task, annotation = {"id": 1, "data": data}, {"id": 2, "was_cancelled": True}
    wanted = [f"v/1/{index}" for index in range(tiles)]
    effort = Effort(clicks, keys, 30.0, 60.0)
    found = list(answers_of_tiles(task, annotation, wanted, tile_options(["road"]), "here", effort))
    shares = [answer.effort for answer in found if answer.effort is not None]
    assert len(shares) == tiles
    assert (sum(share.clicks for share in shares), sum(share.keys for share in shares)) == (clicks, keys)
    assert max(share.clicks for share in shares) - min(share.clicks for share in shares) <= 1
    np.testing.assert_allclose([sum(s.active_seconds for s in shares), sum(s.wall_seconds for s in shares)], [30, 60])
    (plain, *_) = answers_of_tiles(task, annotation, wanted, tile_options(["road"]), "here", None)
    assert plain.effort is None
