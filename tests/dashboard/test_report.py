"""The report of the hand-made project, and of masks judged by later labels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from dashboard.checks import truth_tables, witnesses
from dashboard.printing import browser, print_pdf
from dashboard.report import abridged, report
from dashboard.round_summary import Round
from fewclicks.reporting import report as command
from workspace.errors import UserError
from workspace.facts import Event, Facts
from workspace.files import write_image
from workspace.layout import Layout
from workspace.video import Video

VIDEO = Video("clip-0123456789", "clip", "0" * 64, 3, 8, 4, 10.0, ".png")


def mask(cars: int) -> np.ndarray:
    """4x8, `cars` columns of class 1 on the left."""
    made = np.zeros((4, 8), np.uint8)
    made[:, :cars] = 1
    return made


def label(number: int, frame: int, file: str, **more: object) -> Event:
    payload = {"sample": f"f{frame:06d}", "annotation": f"{number}{frame}", "file": file, "known_pixels": 32}
    return Event(1, 0.0, VIDEO.id, number, "label", payload | more)


def test_later_labels_judge_the_masks_before_them(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for index in range(3):
        write_image(layout.masks(VIDEO.id, "a" * 16) / f"{index:06d}.png", mask(2))
    for name, cars in (("first", 8), ("second", 4), ("corrected", 2)):
        write_image(layout.video(VIDEO.id) / f"labels/{name}.png", mask(cars))
    rounds = [Round(1, model="a" * 16), Round(2, strategy="uniform", model="b" * 16), Round(3)]
    events = [
        label(1, 0, "labels/first.png"),  # taught the masks, so it cannot judge them
        label(2, 1, "labels/first.png"),
        label(2, 1, "labels/second.png"),  # the same annotation, corrected
        label(2, 2, "labels/corrected.png"),
        label(2, 2, "../../secret.png", annotation="x"),
        label(2, 0, "labels/first.png", source="imported", annotation="y"),
    ]
    (found,) = witnesses(layout, VIDEO, rounds, events, 2)
    assert (found.round, found.judged, found.strategy, found.frames) == (2, 1, "uniform", (1, 2))
    # frame 1: 2 of 4 columns of cars were seen; frame 2: all is right
    assert found.tables.tolist() == [[[16, 0, 0], [8, 8, 0]], [[24, 0, 0], [0, 8, 0]]]


def test_a_truth_of_another_size_is_told(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_image(layout.masks(VIDEO.id, "a" * 16) / "000001.png", mask(2))
    tables = truth_tables(layout, VIDEO, "a" * 16, {0: lambda: None, 1: lambda: mask(2)}, 2)
    assert tables.tolist() == [[[24, 0, 0], [0, 8, 0]]]
    with pytest.raises(UserError, match="frame 1 is 3x2, the video 8x4"):
        truth_tables(layout, VIDEO, "a" * 16, {1: lambda: np.zeros((2, 3), np.uint8)}, 2)


def test_the_page_needs_nothing_else_and_escapes_names(street: Layout) -> None:
    with Facts.open(street.database_file) as facts:
        clip, other = (row.video for row in facts.videos())
        text = report(street, street.config(), facts, clip, None, lambda part: None, 0.0)
        with pytest.raises(UserError, match="no masks yet"):
            report(street, street.config(), facts, other, None, lambda part: None, 0.0)
    assert "<script" not in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "1 − 300 / 600 = 50.0 %" in text
    assert "3 people labeled 3 of the 5 samples" in text
    assert "&lt;b&gt;car&lt;/b&gt;" in text
    assert "anna" not in text  # the customer learns no names
    assert text.count("data:image/jpeg") == 8 + 4
    # 8 of 32 columns of cars but for the unknown corner, in every frame
    assert f"{(8 * 24 - 1) / (32 * 24 - 1):.2%}".replace("%", " %") in text


def test_the_command_writes_html_and_pdf_and_tells_mistakes(street: Layout, tmp_path: Path) -> None:
    for wrong, told in (
        ({"video": None}, "has 2 videos"),
        ({"video": "nobody-0123456789"}, "no video"),
        ({"out": tmp_path / "x.pdf"}, "no name for an HTML page"),
        ({"truth": tmp_path / "none"}, "none"),
    ):
        words = {"video": "clip-0123456789", "out": None, "truth": None, "pdf": False} | wrong
        with pytest.raises(UserError, match=told):
            command(street.root, **words)  # type: ignore[arg-type]
    out = tmp_path / "clip.html"
    command(street.root, "clip-0123456789", out, None, False)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.html"]
    if browser() is None:
        pytest.skip("there is no chromium here")
    print_pdf(out, tmp_path / "clip.pdf")
    assert (tmp_path / "clip.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("count", [0, 1, 40, 41, 300])
def test_of_many_rounds_the_middle_is_summed_up(count: int) -> None:
    rounds = [Round(number, asked=2, clicks=number) for number in range(1, count + 1)]
    first, between, last = abridged(rounds)
    assert [*first, *between, *last] == rounds
    assert (len(first) + len(last), len(between)) == ((count, 0) if count <= 40 else (40, count - 40))


def test_what_is_summed_up_has_a_line(street: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.report._ROUNDS_SHOWN", 1)
    monkeypatch.setattr("dashboard.report._FIRST_ROUNDS", 0)
    with Facts.of(street) as facts:
        video = facts.video("clip-0123456789").video
        text = report(street, street.config(), facts, video, None, lambda _: None, 0.0)
    (line,) = (line for line in text.splitlines() if "together" in line)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", line)
    assert cells == ["1–1", "together", "", "3", "3", "300", "300", "120", "", ""]
