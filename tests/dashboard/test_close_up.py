"""A few videos together: sums of forecasts and of step times, and the worst frames of all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard import close_up as module
from dashboard.close_up import close_up, forecast, together_by_round
from dashboard.overview import VideoRow, video_rows
from dashboard.project import open_projects
from dashboard.projection import Projection
from dashboard.round_summary import Round
from workspace.layout import Layout
from workspace.states import State
from workspace.tallies import Tally


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
    nothing = {"forecast": None, "steps_chart": None, "worst": []}
    assert close_up(projects, [], 1e9) == nothing
    monkeypatch.setattr(module, "rounds_of", lambda *_: pytest.fail("read all the same"))
    assert close_up(projects, rows * 11, 1e9) == nothing  # 22 videos
    assert close_up(projects, [replace(rows[0], tally=Tally(asked=20_001))], 1e9) == nothing
    project.facts.close()
