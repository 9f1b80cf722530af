"""A run whose server throws the token back at us: it is in no output, no log, no event, no file of the project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from flows.adding import add_video
from flows.projects import create_project
from workspace.facts import Facts
from workspace.files import write_image

ROOT = Path(__file__).parents[2]
TOKEN = "9f3c0aa1b2d4e5f60718293a4b5c6d7e8f901234"


@pytest.fixture
def echo() -> Iterator[tuple[str, list[str]]]:
    """A server that refuses everything and says what it was sent; its address, and what it has seen."""
    seen: list[str] = []

    class Echo(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = str(self.headers.get("Authorization"))
            seen.append(sent)
            body = json.dumps({"detail": f"I do not like {sent}", "path": self.path}).encode()
            self.send_response(401 if len(seen) % 2 else 403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_the_token_is_nowhere_after_a_run(tmp_path: Path, echo: tuple[str, list[str]]) -> None:
    address, seen = echo
    layout = create_project(tmp_path / "street", None, ["road"], None)
    settings = layout.config_file.read_text().replace("url: null", f"url: {address}", 1)
    layout.config_file.write_text(
        settings.replace("mobilenet_v2", "compact").replace("weights: DEFAULT", "weights: null")
    )
    for index in range(2):
        write_image(tmp_path / "clip" / f"{index}.png", np.full((12, 16, 3), 40 * index, np.uint8))
    with Facts.open(layout.database_file) as facts:
        add_video(layout, facts, layout.config().frames, tmp_path / "clip")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "fewclicks", "run", str(layout.root)],
        env=kept | {"LABEL_STUDIO_API_KEY": TOKEN, "PYTHONPATH": str(ROOT), "PREFECT_LOGGING_LEVEL": "DEBUG"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert any(TOKEN in line for line in seen)  # it was really sent,
    assert "I do not like" in done.stderr  # and what came back was shown,
    assert "[secret]" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    files = [path for path in layout.root.rglob("*") if path.is_file()]
    assert layout.database_file in files
    assert any(path.name.startswith("prefect.db") for path in files)  # Prefect's own logs and states
    for path in files:
        assert TOKEN.encode() not in path.read_bytes(), path.relative_to(layout.root)
