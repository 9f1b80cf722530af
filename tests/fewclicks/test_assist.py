"""`fewclicks assist` as a process of its own: it answers, with the project's password, and ends on Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from fewclicks.__main__ import main
from fewclicks.app import app
from flows.projects import create_project

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "LABEL_STUDIO_API_KEY": "0123456789abcdef0123456789abcdef01234567"}


def project(folder: Path, **assist: object) -> Path:
    layout = create_project(folder / "street", None, ["road", "car"], None)
    values = yaml.safe_load(layout.config_file.read_text())
    values["assist"] |= assist
    values["label_studio"]["url"] = "http://127.0.0.1:9"
    layout.config_file.write_text(yaml.safe_dump(values))
    return layout.root


@pytest.mark.slow
def test_it_answers_with_the_project_s_password_and_ends_on_ctrl_c(
    tmp_path: Path, command: Callable[..., tuple[int, str]]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = project(tmp_path, url=f"http://127.0.0.1:{port}")
    line = [sys.executable, "-m", "fewclicks", "assist", str(root)]
    with subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            deadline = time.monotonic() + 120
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                while True:
                    try:
                        assert http.get("/health").json() == {"status": "UP"}
                        break
                    except httpx.HTTPError:
                        assert time.monotonic() < deadline
                        time.sleep(0.2)
                secret_file = root / ".label-studio" / "assist-secret"
                assert secret_file.stat().st_mode & 0o777 == 0o600
                password = secret_file.read_text()
                assert http.get("/versions").status_code == 401
                assert http.get("/versions", auth=("fewclicks", password)).json() == {"versions": ["classic-1"]}
            code, taken = command(root)  # a second one on the same port
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
        assert process.stdout is not None
        said = process.stdout.read().decode()
    assert f"http://127.0.0.1:{port}" in said
    assert password not in said
    assert (code, "cannot be listened on" in taken) == (2, True)
    assert "Traceback" not in said


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`fewclicks assist WORDS` in this process: exit code and what it says on stderr, on one line."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", ENVIRONMENT["LABEL_STUDIO_API_KEY"])

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fewclicks", "assist", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), " ".join(capsys.readouterr().err.split())

    return call


@pytest.mark.parametrize(
    ("assist", "message"),
    [
        ({}, "assist.url is not set"),
        ({"url": "https://a.org/x"}, "assist.url: String should match"),
        ({"url": "http://127.0.0.1:8096", "backend": "clasic"}, "There is no assist backend 'clasic'"),
        ({"url": "http://127.0.0.1:8096", "backend": "learned"}, "'learned' needs a model"),
        ({"url": "http://127.0.0.1:8096", "backend": "learned", "model": "none"}, "There is no assist model in"),
        ({"url": "http://127.0.0.1:99999"}, "cannot be listened on"),
    ],
)
def test_wrong_settings_are_one_line(
    tmp_path: Path, command: Callable[..., tuple[int, str]], assist: dict[str, object], message: str
) -> None:
    code, said = command(project(tmp_path, **assist))
    assert code == 2
    assert message in said


def test_training_without_data_is_one_line(tmp_path: Path, command: Callable[..., tuple[int, str]]) -> None:
    code, said = command("train", "--data", tmp_path / "none", "--out", tmp_path / "model")
    assert code == 2
    assert "There is no folder" in said
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("group", ["serve", "train"])
def test_every_help_shows_an_example(group: str) -> None:
    shown = CliRunner().invoke(app, ["assist", group, "--help"])
    assert shown.exit_code == 0
    assert "fewclicks assist" in shown.output.split("Example:")[1]
