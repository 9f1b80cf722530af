"""The command line: examples in every --help, one line and exit code 2 for a user's mistake, never a traceback."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.exc import OperationalError

from fewclicks.__main__ import in_one_line, main
from fewclicks.app import app
from fewclicks.exporting import Format
from flows.exporting import FORMATS
from workspace.facts import Facts, NewEvent
from workspace.files import write_image
from workspace.layout import Layout

COMMANDS = [
    "init",
    "add",
    "run",
    "status",
    "pull",
    "pause",
    "resume",
    "cancel",
    "retry",
    "prioritize",
    "schedule",
    "people",
    "export",
    "import",
    "review",
    "compare",
    "tolerance",
    "dashboard",
    "report",
    "backup",
    "restore",
    "share",
    "join",
    "fetch",
    "prune",
    "serve",
    "doctor",
    "settings",
    "deploy",
    "up",
    "listen",
    "demo",
]


@pytest.fixture
def fewclicks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fewclicks", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    for index in range(3):
        write_image(tmp_path / "clip" / f"{index}.png", np.full((12, 16, 3), 40 * index, np.uint8))
    return tmp_path / "clip"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_an_example(fewclicks, command: str) -> None:
    code, out, _ = fewclicks(command, "--help")
    assert code == 0
    assert f"fewclicks {command}" in out.split("Example:")[1]


def test_the_commands_are_those_and_no_others(fewclicks) -> None:
    assert [command.name or command.callback.__name__ for command in app.registered_commands] == COMMANDS
    assert "fewclicks 0." in fewclicks("--version")[1]


def test_from_nothing_to_a_status(fewclicks, tmp_path: Path, clip: Path) -> None:
    project = tmp_path / "street"
    assert fewclicks("init", project, "--class", "road", "--class", 'a "car"')[0] == 0
    code, out, _ = fewclicks("add", project, clip)
    assert (code, "3 frames of 16x12" in out) == (0, True)
    assert "is in the project already" in fewclicks("add", project, clip)[1]
    code, out, _ = fewclicks("status", project)
    assert code == 0
    assert "ready" in out
    assert "clip-" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "{tmp}/none"], "Error: There is no project at {tmp}/none. Make one with `fewclicks init DIR`."),
        (["add", "{tmp}/none", "x.mp4"], "Error: There is no project at"),
        (["export", "{tmp}/none"], "Error: There is no project at"),
        (["run", "{tmp}/none"], "Error: There is no project at"),
        (["add", "{project}", "{tmp}/none.mp4"], "none.mp4"),
        (["export", "{project}"], "Error: {project} has no videos. Add one with"),
        (["backup", "{tmp}/none", "{tmp}/b.zip"], "Error: There is no project at"),
        (["backup", "{project}", "{project}/fewclicks.yaml"], "is there already. A backup never overwrites one"),
        (["backup", "{project}", "{tmp}/none/b.zip"], "There is no folder {tmp}/none."),
        (["restore", "{tmp}/none.zip", "{tmp}/new"], "{tmp}/none.zip cannot be read: No such file"),
        (["restore", "{project}/fewclicks.yaml", "{tmp}/new"], "fewclicks.yaml is no backup of fewclicks"),
        (["dashboard", "{tmp}/none"], "Error: There is no project at"),
        (["dashboard", "{project}", "--host", "0.0.0.0"], "so it needs a token. Set FEWCLICKS_DASHBOARD_TOKEN"),
        (["report", "{tmp}/none"], "Error: There is no project at"),
        (["report", "{project}"], "Error: {project} has no videos. Add one with"),
        (["pause", "{project}", "x"], "Error: There is no video 'x'."),
        (["schedule", "{project}", "x", "--cron", "0 6 * * *"], "Error: There is no video 'x'."),
        (["schedule", "{project}", "x", "--cron", "often"], "Error: 'often' is not a cron schedule."),
        (["schedule", "{project}", "x"], "Error: Say when, or --with-project."),
        (["prune", "{project}"], "lie in its folder only. There is nothing to prune."),
        (["retry", "{tmp}/none", "x"], "Error: There is no project at"),
        (["export", "{project}", "--video", "x"], "Error: There is no video 'x'."),
        (["import", "{tmp}/none", "x", "masks", "--as", "labels"], "Error: There is no project at"),
        (["import", "{project}", "x", "masks", "--as", "labels"], "Error: There is no video 'x'."),
        (["run", "{project}"], "Error: No Label Studio is running for this project."),
        (["pull", "{project}"], "Error: No Label Studio is running for this project."),
        (["init", "{project}"], "is there already"),
        (["demo", "--out", "{tmp}/demo", "--data", "{tmp}/none"], "There is no folder {tmp}/none."),
        (["demo", "--out", "{tmp}/demo", "--strategy", "best"], "There is no selection strategy 'best'."),
        (["deploy", "{project}", "--cron", "often"], "PREFECT_API_URL is not set"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(fewclicks, tmp_path: Path, monkeypatch, arguments, message) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    project = tmp_path / "street"
    fewclicks("init", project)
    before = sorted(tmp_path.rglob("*"))
    places = {"tmp": tmp_path, "project": project}
    code, _, err = fewclicks(*(argument.format(**places) for argument in arguments))
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert message.format(**places) in err
    assert sorted(tmp_path.rglob("*")) == before


def test_one_broken_video_does_not_keep_the_others_out(fewclicks, tmp_path: Path, clip: Path) -> None:
    project = tmp_path / "street"
    fewclicks("init", project)
    (tmp_path / "broken.mp4").write_bytes(b"")
    code, _, err = fewclicks("add", project, tmp_path / "broken.mp4", clip)
    assert code == 2
    assert "broken.mp4" in err
    facts = Facts.open(Layout(project).database_file)
    assert len(facts.videos()) == 1
    facts.close()


HEAVY = (
    "torch",
    "prefect",
    "numpy",
    "cv2",
    "sqlalchemy",
    "pydantic",
    "label_studio_sdk",
    "matplotlib",
    "scipy",
    "yaml",
)


def test_the_command_line_starts_without_anything_heavy() -> None:
    program = f"import sys; from fewclicks.app import app; print(*(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_takes_less_than_half_a_second() -> None:
    """Of processor time, the best of three: the machine may be busy with other things."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "fewclicks", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.5


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("fewclicks ex", {"export"}),
        ("fewclicks export street --format c", {"coco", "coco_polygons", "cityscapes", "cvat"}),
    ],
)
def test_the_shell_completes_commands_and_formats(typed: str, expected: set[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_FEWCLICKS_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-m", "fewclicks"], env=os.environ | words, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == expected


def test_masks_are_imported_and_exported_in_every_format(fewclicks, tmp_path: Path, clip: Path) -> None:
    project = tmp_path / "street"
    fewclicks("init", project, "--class", "road", "--class", "car")
    fewclicks("add", project, clip)
    for index in range(1, 3):
        write_image(tmp_path / "masks" / f"{index}.png", np.eye(12, 16, k=index, dtype=np.uint8))
    words = ["import", project, "clip", tmp_path / "masks", "--first", 1, "--as"]
    code, out, _ = fewclicks(*words, "predictions")
    assert (code, "2 masks for frames 0 to 1 as predictions, 2 of them new." in out) == (0, True)
    assert "2 of them new." in fewclicks(*words, "labels")[1]
    assert "0 of them new." in fewclicks(*words, "labels")[1]
    layout = Layout(project)
    with Facts.open(layout.database_file) as facts:
        video = facts.videos()[0].video
        facts.append(video.id, 1, NewEvent("propagated", {"model": "m"}))
    for index in range(3):
        write_image(layout.masks(video.id, "m") / f"{index:06d}.png", np.eye(12, 16, k=index, dtype=np.uint8))
    code, out, err = fewclicks("export", project, "--all", "--out", tmp_path / "out")
    assert (code, err.count("Error")) == (0, 0)
    written = [Path(line) for line in out.split()]
    assert [path.name for path in written] == [
        "masks",
        "coco.json",
        "overlay.mp4",
        "coco_polygons.json",
        *list(FORMATS)[4:],
    ]
    assert all(path.exists() for path in written)
    assert [item.value for item in Format] == list(FORMATS)
    code, out, _ = fewclicks("export", project, "--format", "yolo", "--format", "yolo")
    assert out.split() == [str(project / "exports" / video.id / "yolo")]
    assert "is not one of" in fewclicks("export", project, "--format", "best")[2]


def test_a_full_disk_is_told_in_one_line() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "street/videos/x.png")
    assert in_one_line(full).startswith("street/videos/x.png cannot be written: No space left on device.")
    locked = OperationalError("INSERT", {}, Exception("database or disk is full"))
    assert "database or disk is full" in in_one_line(locked)
    assert in_one_line(ValueError("a bug")) is None
    assert in_one_line(OSError(errno.ENOENT, "a bug too")) is None


@pytest.mark.slow
def test_a_labeling_server_that_is_down_is_one_line(tmp_path: Path, clip: Path) -> None:
    """Through Prefect's embedded mode, which would like to print a traceback of its own."""
    project = tmp_path / "street"
    program = [sys.executable, "-m", "fewclicks"]
    subprocess.run([*program, "init", str(project)], check=True)
    settings = (project / "fewclicks.yaml").read_text()
    settings = settings.replace("name: mobilenet_v2", "name: compact").replace("weights: DEFAULT", "weights: null")
    (project / "fewclicks.yaml").write_text(settings.replace("url: null", "url: http://127.0.0.1:9"))
    subprocess.run([*program, "add", str(project), str(clip)], check=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    done = subprocess.run(
        [*program, "run", str(project)],
        env=environment | {"LABEL_STUDIO_API_KEY": "a-secret-token"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "http://127.0.0.1:9" in done.stderr
    assert "a-secret-token" not in done.stdout + done.stderr
    status = subprocess.run([*program, "status", str(project)], capture_output=True, text=True, check=True)
    assert "pushing" in status.stdout


def test_bash_completes_commands_options_and_values(tmp_path: Path) -> None:
    """As a shell asks: with the words so far, and the number of the one that is being typed."""
    for words, wanted in (
        ("fewclicks re", {"report", "restore", "resume", "retry", "review"}),
        ("fewclicks export street --form", {"--format"}),
        ("fewclicks export street --format co", {"coco", "coco_polygons"}),
    ):
        asked = {"_FEWCLICKS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run(
            [sys.executable, "-m", "fewclicks"], capture_output=True, text=True, env=os.environ | asked, check=False
        )
        assert set(done.stdout.split()) == wanted, (words, done.stderr)
