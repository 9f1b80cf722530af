"""What may be a schedule, of the project and of single videos; that they fire is in end_to_end/test_schedule.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.memory import MemoryTool
from flows.context import Context
from flows.deployments import check_schedule, renew_schedules, schedule_videos
from flows.projects import create_project
from workspace.errors import UserError

CLIP = "clip-0123456789"


@pytest.mark.parametrize("cron", ["* * * * *", "*/10 6-18 * * mon-fri", "0 0 29 2 *"])
def test_five_fields_that_come_at_some_time_are_a_schedule(cron: str) -> None:
    check_schedule(cron)


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("often", "'often' is not a cron schedule"),
        ("", "'' is not a cron schedule"),
        ("0 25 * * *", "is not a cron schedule"),
        ("*/5 * * * * *", "is not a cron schedule"),  # with seconds
        ("@daily", "is not a cron schedule"),
        ("R * * * *", "is not a cron schedule"),
        ("0 0 31 2 *", "names a day that never comes"),
    ],
)
def test_anything_else_is_refused(cron: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_schedule(cron)


def test_nothing_is_changed_if_one_id_or_the_schedule_is_wrong(
    tmp_path: Path, make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    facts = make_context(MemoryTool()).facts
    layout = create_project(tmp_path, "town", ["a"], None)  # settings beside the facts that are there
    for videos, cron in (([CLIP, "nowhere"], "0 6 * * *"), ([CLIP], "0 6 31 2 *")):
        with pytest.raises(UserError):
            schedule_videos(layout, videos, cron)
    assert facts.video(CLIP).cron is None
    assert [schedule_videos(layout, [CLIP], "0 6 * * *") for _ in range(2)] == [[True], [False]]
    assert facts.video(CLIP).cron == "0 6 * * *"
    assert not renew_schedules(layout)  # nobody runs `up`
