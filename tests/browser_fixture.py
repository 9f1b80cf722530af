"""A real Chromium with the mouse and the keyboard of a person, over its debugging port."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect


class Tab:
    """One tab. What it does with mouse and keys the page takes for a person's doing; `clicks` and `keys` count them."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.clicks = 0
        self.keys = 0

    def command(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, script: str) -> Any:
        result = self.command("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, script: str, seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.2)
        raise AssertionError(f"never true: {script}\n{self.evaluate('document.body.innerText.slice(0, 2000)')}")

    def click(self, element: str) -> None:
        """Press the left button in the middle of what the JavaScript expression `element` finds."""
        box = f"(r => JSON.stringify([r.x + r.width / 2, r.y + r.height / 2]))({element}.getBoundingClientRect())"
        x, y = json.loads(self.evaluate(box))
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
        self.clicks += 1

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")
        self.keys += 1

    def log_in(self, address: str, email: str, password: str) -> None:
        with httpx.Client(base_url=address, follow_redirects=True, trust_env=False) as http:
            form = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', http.get("/user/login/").text)
            assert form is not None
            fields = {"csrfmiddlewaretoken": form[1], "email": email, "password": password}
            http.post("/user/login/", data=fields, headers={"Origin": address}).raise_for_status()
            for name, value in dict(http.cookies).items():
                self.command("Network.setCookie", name=name, value=value, url=address)


@pytest.fixture
def open_tab(tmp_path: Path) -> Iterator[Callable[[], Tab]]:
    """Opens the tab of a fresh browser, once."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI") or os.environ.get("FEWCLICKS_REQUIRE_REAL") == "1":
            pytest.fail("there is no chromium here")
        pytest.skip("there is no chromium here")
    profile = tmp_path / "profile"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000"]
    command = [program, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    sockets: list[ClientConnection] = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:

        def open_it() -> Tab:
            port_file = profile / "DevToolsActivePort"
            deadline = time.monotonic() + 60
            while not port_file.exists() or not port_file.read_text().strip():
                assert time.monotonic() < deadline, "chromium did not start"
                time.sleep(0.1)
            port = port_file.read_text().split()[0]
            (tab,) = [t for t in httpx.get(f"http://127.0.0.1:{port}/json").json() if t["type"] == "page"]
            sockets.append(connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None))
            return Tab(sockets[0])

        try:
            yield open_it
        finally:
            for socket in sockets:
                socket.close()
            browser.kill()
