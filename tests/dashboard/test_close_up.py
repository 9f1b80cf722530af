"""A few videos together: sums of forecasts and of step times, and the worst frames of all of them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard import close_up as module
from dashboard.close_up import close_up, forecast, outlooks, together_by_round
from dashboard.overview import VideoRow, video_rows
from dashboard.project import open_projects
from dashboard.projection import Projection
from dashboard.projection import project as of_points
from dashboard.round_summary import Round
from dashboard.video_page import points_of, rounds_of
from workspace.facts import NewEvent
from workspace.layout import Layout
from workspace.states import State
from workspace.tallies import Tally
from workspace.video import Video


@pytest.fixture
def rows(street: Layout) -> list[VideoRow]:
    (project,) = open_projects([street.root])
    found = video_rows(project.slug, project.facts)
    project.facts.close()
    return found


def test_forecasts_are_summed_up(rows: list[VideoRow]) -> None:
    waiting, done = rows[0], replace(rows[1], state=replace(rows[1].state, state=State.DONE))
    outlook = [
        (waiting, Projection(0.9, 100, 50.0)),
        (waiting, Projection(0.95, 200, 70.0)),
        (waiting, Projection(0.9, reason="out of reach at this rate")),
        (waiting, Projection(0.9, 0, 10.0, reason="reached")),
        (done, Projection(0.9, 0, 10.0, reason="reached")),
        (done, Projection(0.9, 500, 90.0)),  # it is not going on
    ]
    found = forecast(outlook)
    assert (found.told, found.clicks, found.at) == (2, 300, 70.0)
    assert (found.reached, found.ended, found.untold) == (2, 1, 1)
    no_pace = forecast([*outlook, (waiting, Projection(0.9, 7, None))])
    assert (no_pace.told, no_pace.clicks, no_pace.at) == (3, 307, None)  # the day of one is not known
    assert (forecast([]).told, forecast([]).at) == (0, None)


def test_step_times_are_summed_up_by_round() -> None:
    one = [Round(1, steps={State.FITTING: 10.0, State.WAITING: 5.0}), Round(2, steps={State.FITTING: 1.0})]
    other = [Round(1, steps={State.FITTING: 3.0})]
    first, second = together_by_round([one, other, []])
    assert (first.number, first.steps) == (1, {State.FITTING: 13.0, State.WAITING: 5.0})
    assert (second.number, second.steps) == (2, {State.FITTING: 1.0})


def test_only_what_can_be_read_at_once(street: Layout, rows: list[VideoRow], monkeypatch: pytest.MonkeyPatch) -> None:
    (project,) = open_projects([street.root])
    projects = {project.slug: project}
    found = close_up(projects, rows, 1e9)
    # errors rise from 0 to 35 % over eight frames, and no two neighbours are shown; the other video has no masks
    assert [(one.row.id, one.frame) for one in found["worst"]] == [("clip-0123456789", n) for n in (7, 5, 3, 1)]
    assert found["worst"][0].error == pytest.approx(0.35)
    assert (found["forecast"].told, found["forecast"].untold) == (0, 2)  # one round and none
    assert found["steps_chart"]["data"][0]["x"] == [1, 2]
    assert close_up(projects, [], 1e9) == {"forecast": None, "steps_chart": None, "worst": []}
    monkeypatch.setattr(module, "rounds_of", lambda *_: pytest.fail("read all the same"))
    many = close_up(projects, rows * 11, 1e9)  # 22 videos
    assert (many["forecast"].untold, many["steps_chart"], many["worst"]) == (22, None, None)
    long = close_up(projects, [replace(rows[0], tally=Tally(asked=20_001))], 1e9)
    assert (long["forecast"].untold, long["steps_chart"], long["worst"]) == (1, None, None)
    project.facts.close()


def test_the_last_rounds_tell_what_the_whole_log_tells(tmp_path: Path) -> None:
    """One query for all videos, compared with the projection that the page of each video makes of its log."""
    layout = Layout(tmp_path / "rounds")
    layout.videos.mkdir(parents=True)
    layout.config_file.write_text("project: {classes: [road]}\n", encoding="utf-8")
    (project,) = open_projects([layout.root])
    facts = project.facts
    for which, (price, rounds, error) in enumerate(((1, 9, 0.5), (2, 7, 0.4), (3, 2, 0.5), (4, 4, 0.01), (5, 0, 0.5))):
        video = Video(f"clip-{which:010d}", f"clip {which}", f"{which:064d}", 900, 8, 8, 25.0, ".png")
        facts.add_video(video)
        facts.append(video.id, 0, _answer("f000000", "0", 1000))  # before the first round: not counted
        for number in range(1, rounds + 1):
            for n in range(number):
                facts.append(video.id, number, _answer(f"f{n:06d}", f"{number}.{n}", 50))
                facts.append(video.id, number, _answer(f"f{n:06d}", f"{number}.{n}", price))  # corrected
            made = {"model": "a" * 16, "estimated_miou": 1 - error * number**-0.7, "drawing_every_frame": 90_000}
            facts.append(video.id, number, NewEvent("propagated", made))
            facts.append(video.id, number, NewEvent("moved", {"from": "propagating", "to": "selecting", "round": 1}))
        facts.append(video.id, rounds + 1, _answer("f000000", "10", 500))  # of the round that is not over
    now = time.time() + 3600
    found = outlooks({project.slug: project}, video_rows(project.slug, facts), now)
    unknown = "known after 3 rounds with answers"
    assert [one.reason for _, one in found] == ["", "", unknown, "reached", unknown]
    for row, one in found:
        most = None if row.baseline is None else row.baseline.clicks
        exact = of_points(points_of(rounds_of(project, row.id, now)), 0.95, most, now)
        assert replace(one, at=None) == replace(exact, at=None)
        if exact.at is None:
            assert one.at is None
        else:  # the video's page counts a round until its last event: here the step after
            assert one.at is not None
            assert one.at - now == pytest.approx(exact.at - now, rel=0.01)
    # 1 + 2 + ... + 9 answers of one click, and 1 + 2 + ... + 7 of two
    assert [facts.newest_few("propagated", 1)[row.id][0][1] for row, _ in found[:2]] == [45, 56]
    facts.close()


def _answer(sample: str, annotation: str, clicks: int) -> NewEvent:
    costs = {"correcting": clicks, "drawing": clicks}
    return NewEvent("label", {"sample": sample, "annotation": annotation, "clicks": costs})
