"""The player's benchmark on a short video: a sweep from end to end draws pictures and ends sharp on the last frame."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import player
from workspace.errors import UserError


@pytest.mark.browser
@pytest.mark.slow
def test_a_sweep_draws_pictures_on_the_way(
    chromium_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "SWEEP_MS", 1500)
    player.main(["--frames", "60", "--out", str(tmp_path / "player.json")])
    result = json.loads((tmp_path / "player.json").read_text())
    assert result["frames"] == 60
    assert 2 <= result["pictures"] <= 200
    assert 0 < result["median_ms"] <= result["p95_ms"] < 1500  # never only the first and the last
    assert result["sharp_after_ms"] >= 0


def test_wrong_words_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 frames cannot be scrolled"):
        player.main(["--frames", "1"])
    with pytest.raises(UserError, match="cannot be written"):
        player.main(["--out", str(tmp_path / "no" / "player.json")])
