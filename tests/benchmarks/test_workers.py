"""Two workers that share no disk, one of which is killed: real PostgreSQL, a real S3 protocol, real processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.workers import main
from workspace.errors import UserError


@pytest.mark.slow
def test_two_workers_one_of_them_killed_make_what_one_makes(
    tmp_path: Path, postgres_server: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    out = tmp_path / "workers.json"
    words = ["--database", postgres_server, "--remote", s3_bucket, "--workers", "0,2", "--kill", "--out", str(out)]
    words += ["--frames", "8", "--size", "32x64", "--segmenter", "compact"]
    main(
        [
            *words,
            "--set",
            "propagation.decoder_steps=4",
            "--set",
            "propagation.tuning_steps=4",
            "--set",
            "stopping.rounds=1",
        ]
    )
    alone, two = json.loads(out.read_text())["runs"]
    assert (alone["workers"], two["workers"], two["killed"]) == (0, 2, 1)
    assert len(alone["masks"]) == 8
    assert len(set(alone["masks"].values())) == 8
    assert two["masks"] == alone["masks"]
    assert two["asked"] == alone["asked"] == 8 * 2
    assert min(two["steps"]) >= 4  # the first had begun, the second finished


@pytest.mark.parametrize("wrong", [["--workers", "x"], ["--workers", "-1"], ["--size", "8x8"], []])
def test_wrong_words_are_told(wrong: list[str]) -> None:
    with pytest.raises(UserError):
        main(wrong)
