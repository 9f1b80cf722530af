"""The event log's benchmark on a small log; and a limit that a scan of the log would not keep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import event_log
from workspace.errors import UserError


@pytest.mark.slow
def test_it_writes_what_it_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "_REPEATS", 1)
    event_log.main(["--events", "3200", "--videos", "10", "--out", str(tmp_path / "log.json")])
    result = json.loads((tmp_path / "log.json").read_text())
    assert (result["events"], result["videos"], result["events_of_a_video"]) == (3200, 10, 320)
    assert result["status_command"]["least_s"] > result["status_rows"]["least_s"] > 0


def test_wrong_words_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="0 events"):
        event_log.main(["--events", "0"])
    with pytest.raises(UserError, match="cannot be written"):
        event_log.main(["--out", str(tmp_path / "no" / "folder.json")])
