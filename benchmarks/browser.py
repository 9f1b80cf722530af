"""A person's browser: Label Studio's own page in a real headless Chromium, driven by mouse and keyboard events."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect
from websockets.sync.connection import Connection

SUBMIT = "document.querySelector('[data-testid=\"bottombar-submit-button\"]')"
TASK = "(document.body.innerText.match(/\\n(\\d+)\\n\\d+ of \\d+/) || [])[1]"  # id of the task that is shown
PICTURES = (  # how many pictures of tiles are drawn
    "[...document.querySelectorAll('.fc-tile img')].filter(i => i.complete && i.naturalWidth > 0 &&"
    " getComputedStyle(i).visibility == 'visible').length"
)
TILE = (  # index of the tile in which the keyboard is, -1 for none
    "[...document.querySelectorAll('.fc-tile')].findIndex(e => e.contains(document.activeElement))"
)
_KEYS = {  # name: (code, virtual key code, text)
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    " ": ("Space", 32, " "),
    "Escape": ("Escape", 27, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "Home": ("Home", 36, ""),
    "End": ("End", 35, ""),
}
CTRL, SHIFT = 2, 8


class Page:
    """One tab: looks with JavaScript, acts with the mouse and the keyboard only."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._number = 0

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
        """The first true value of the script; AssertionError with the page's text after so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.1)
        body = self.evaluate("document.body.innerText.slice(0, 2000)")
        raise AssertionError(f"never true: {script}\n{body}")

    def open(self, url: str, width: int = 1920, height: int = 1080) -> None:
        """A screen of so many pixels, and the address in it."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        self.command("Page.navigate", url=url)

    def box(self, element: str) -> tuple[float, float, float, float]:
        """x, y, width, height on the screen, in pixels, of a JavaScript expression's element."""
        script = f"(r => JSON.stringify([r.x, r.y, r.width, r.height]))({element}.getBoundingClientRect())"
        x, y, width, height = json.loads(self.evaluate(script))
        return x, y, width, height

    def click(self, element: str) -> None:
        """A left click in the middle of the element."""
        x, y, width, height = self.box(element)
        assert min(width, height) > 0, element
        self.drag([(x + width / 2, y + height / 2)])

    def drag(self, points: list[tuple[float, float]]) -> None:
        """Press at the first point, move over the others, release at the last."""
        self._mouse("mouseMoved", *points[0], held=False)
        self._mouse("mousePressed", *points[0])
        for x, y in points[1:]:
            self._mouse("mouseMoved", x, y)
        self._mouse("mouseReleased", *points[-1])

    def press(self, key: str, modifiers: int = 0) -> None:
        """A key by its name, or a character; `modifiers`: CTRL, SHIFT or both."""
        code, number, text = _KEYS.get(key) or (f"Key{key.upper()}", ord(key.upper()), key)
        if key.isdigit():
            code = f"Digit{key}"
        fields = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        typed = {"text": text} if text and not modifiers & CTRL else {}
        self.command("Input.dispatchKeyEvent", type="keyDown", **fields, **typed)
        self.command("Input.dispatchKeyEvent", type="keyUp", **fields)

    def screenshot(self, path: Path, clip: tuple[float, float, float, float] | None = None) -> None:
        """The screen, or x, y, width, height of it, as PNG."""
        extra = {} if clip is None else {"clip": dict(zip(("x", "y", "width", "height"), clip, strict=True))}
        if extra:
            extra["clip"]["scale"] = 1
        data = self.command("Page.captureScreenshot", format="png", **extra)["data"]
        path.write_bytes(base64.b64decode(data))

    def _mouse(self, kind: str, x: float, y: float, held: bool = True) -> None:
        button = {"button": "left", "buttons": 1, "clickCount": 1} if held else {}
        self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)


def choice(tile: int, text: str) -> str:
    """The radio button of a tile, as a JavaScript expression."""
    buttons = f"[...document.querySelectorAll('.fc-tile')[{tile}].querySelectorAll('label')]"
    same = f"e => e.innerText.replace(/\\[.*\\]$/, '').trim() == {json.dumps(text)}"
    return f"{buttons}.find({same})?.querySelector('input')"


def chosen(tile: int) -> str:
    """The text beside the chosen button of a tile, as a JavaScript expression."""
    button = f"document.querySelectorAll('.fc-tile')[{tile}].querySelector('.ant-radio-wrapper-checked')"
    return f"({button}?.innerText || '').replace(/\\[.*\\]$/, '').trim()"


def chromium() -> str | None:
    """The path of an installed Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


@contextmanager
def browser(url: str, email: str, password: str) -> Iterator[Page]:
    """A tab of a fresh browser, logged in to the Label Studio at `url`."""
    with fresh_tab() as page:
        for name, value in _login(url, email, password).items():
            page.command("Network.setCookie", name=name, value=value, url=url)
        yield page


@contextmanager
def fresh_tab() -> Iterator[Page]:
    """The only tab of a fresh browser."""
    program = chromium()
    assert program is not None, "there is no chromium here"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port_file = Path(folder) / "DevToolsActivePort"
        command = [program, *options, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 60
                while not port_file.exists() or not port_file.read_text().strip():
                    assert time.monotonic() < deadline, "chromium did not start"
                    time.sleep(0.1)
                port = port_file.read_text().split()[0]
                tabs = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False, timeout=120).json()
                (tab,) = [tab for tab in tabs if tab["type"] == "page"]
                with connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
                    yield Page(socket)
            finally:
                process.kill()


def _login(url: str, email: str, password: str) -> dict[str, str]:
    with httpx.Client(base_url=url, timeout=120, follow_redirects=True, trust_env=False) as http:
        form = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', http.get("/user/login/").text)
        assert form is not None
        fields = {"csrfmiddlewaretoken": form[1], "email": email, "password": password}
        http.post("/user/login/", data=fields)
        return dict(http.cookies)
