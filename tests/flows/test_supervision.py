"""Programs under supervision: started in order, started again with pauses, and gone with all their children."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from flows import supervision
from flows.stack import Ports, services
from flows.supervision import Service, Supervisor
from workspace.config import parse_config
from workspace.errors import UserError
from workspace.layout import Layout

ROOT = Path(__file__).parents[2]
# a program with a child of its own, which ignores the polite signal
PARENT = (
    "import subprocess, sys, time; "
    "subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(15, 1); print(1, flush=True);"
    " time.sleep(1000)']); print('up', flush=True); time.sleep(1000)"
)
OWNER = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell starts in the background
from flows.supervision import Service, Supervisor
service = Service("parent", (sys.executable, "-c", sys.argv[2]))
with Supervisor([service], Path(sys.argv[1]), print) as supervisor:
    supervisor.run(lambda: False, lambda: print("ready", flush=True))
"""


def until(what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def all_gone(processes: list[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_in_order_and_again_with_pauses_that_double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "PAUSES_S", (0.2, 0.4))
    monkeypatch.setattr(supervision, "_LOOK_S", 0.02)
    trace = tmp_path / "trace"

    def program(word: str, then: str = "") -> tuple[str, ...]:
        return (sys.executable, "-c", f"open({str(trace)!r}, 'a').write({word!r} + '\\n'); {then}")

    said: list[str] = []
    table = [
        Service("once", program("once"), once=True),
        Service("dies", program("dies", "raise SystemExit(3)")),
        Service("lives", program("lives", "import time; time.sleep(1000)"), "http://here"),
    ]
    stop = threading.Event()
    with Supervisor(table, tmp_path / "up", said.append) as supervisor:
        thread = threading.Thread(target=supervisor.run, args=(stop.is_set, lambda: said.append("ready")))
        thread.start()
        until(lambda: sum("dies ended" in line for line in said) >= 3)
        state = json.loads((tmp_path / "up" / "stack.json").read_text())
        assert state["services"]["lives"]["address"] == "http://here"
        lives = psutil.Process(state["services"]["lives"]["pid"])
        with pytest.raises(UserError, match="already runs"):
            Supervisor([], tmp_path / "up", said.append).__enter__()
        stop.set()
        thread.join(30)
    assert all_gone([lives])
    words = trace.read_text().split()
    assert words.count("once") == 1  # it is done
    assert words.count("lives") == 1
    assert words[0] == "once"
    pauses = [line.split("again in ")[1].split(" s")[0] for line in said if "dies ended (exit code 3)" in line]
    assert pauses[:3] == ["0.2", "0.4", "0.4"]
    assert said.count("ready") == 1
    assert not (tmp_path / "up" / "stack.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_orphan_whatever_ends_it(number: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path / "up"), PARENT]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    until(lambda: len(family(owner.pid)) == 3)  # keeper, program, its child
    started = family(owner.pid)
    owner.send_signal(number)
    try:
        owner.wait(120)
    finally:
        owner.kill()
        owner.stdout.close()
    until(lambda: all_gone(started))
    # the next start finds nothing left of the first
    with Supervisor([], tmp_path / "up", print):
        pass


def test_the_table_has_what_the_settings_ask_for(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    values = {"project": {"name": "street", "classes": ["a"]}}
    free = Ports(0, 0, 0)

    def names(**settings: dict[str, object]) -> list[str]:
        config = parse_config(values | settings, "test")
        return [s.name for s in services(layout, config, free, "* * * * *", "pool")]

    basic = ["label-studio", "prefect-server", "deployment", "worker", "dashboard"]
    assert names() == basic
    assert names(label_studio={"url": "http://elsewhere"}) == basic[1:]
    assert names(label_studio={"webhook": "http://127.0.0.1:8095"}, assist={"url": "http://127.0.0.1:8096"}) == [
        *basic[:-1],
        "webhook",
        "assist",
        "dashboard",
    ]
    with closing(socket.socket()) as somebody:
        somebody.bind(("127.0.0.1", 0))
        taken = somebody.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {taken} on .* --prefect-port"):
            services(layout, parse_config(values, "test"), Ports(0, taken, 0), "", "")
