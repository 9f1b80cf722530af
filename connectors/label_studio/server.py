"""A Label Studio server of one workspace: private to this machine, offline, and gone when we are."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx
import psutil

from connectors.label_studio.installation import label_studio_binary
from workspace.errors import UserError
from workspace.files import write_bytes
from workspace.layout import Layout
from workspace.redaction import keep_secret

HOST = "127.0.0.1"
START_TIMEOUT_S = 900.0  # the first start makes the database: 25 to 45 s on an idle machine, minutes on a busy one
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Credentials:
    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """What others need to reach the server.

    A pid with its start time (seconds since 1970) names a process without doubt: `pid` is the server's, `owner` that of
    the process which started it and whose end ends it.
    """

    url: str
    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    pid: int
    started: float
    owner: int
    owner_started: float
    people_url: str = ""  # where annotators go, if not to `url`: the proxy that counts clicks


def running_server(workspace_root: Path) -> RunningServer | None:
    """The server that runs on this workspace now, if any: `fewclicks run` needs no address and no token then."""
    try:
        value = json.loads(Layout(workspace_root).label_studio_state.read_bytes())
        server = RunningServer(**value)
        keep_secret(server.token)
        keep_secret(server.password)
    except (OSError, ValueError, TypeError):
        return None
    return server if _alive(server.pid, server.started) and _alive(server.owner, server.owner_started) else None


def stored_credentials(data_dir: Path) -> Credentials:
    """The login of the server, made once; the file and its folder are for this user only."""
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir.chmod(0o700)
    path = data_dir / "credentials.json"
    if path.exists():
        try:
            found = Credentials(**json.loads(path.read_bytes()))
            keep_secret(found.token)
            keep_secret(found.password)
            return found
        except (ValueError, TypeError):
            raise UserError(f"{path} holds no login.", f"Delete {data_dir} to begin with an empty server.") from None
    made = Credentials(
        "annotator@fewclicks.local", keep_secret(secrets.token_urlsafe(12)), keep_secret(secrets.token_hex(20))
    )
    write_bytes(path, (json.dumps(asdict(made), indent=1) + "\n").encode(), mode=0o600)
    return made


def server_environment(data_dir: Path, files_root: Path, credentials: Credentials) -> dict[str, str]:
    """All of the server's environment; nothing may leak in, as it also reads plain USERNAME, HOST, PORT, DEBUG, CI."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return kept | {
        "HOME": str(data_dir / "home"),
        "LABEL_STUDIO_BASE_DATA_DIR": str(data_dir),
        "DJANGO_DB": "sqlite",
        "LABEL_STUDIO_USERNAME": credentials.email,
        "LABEL_STUDIO_PASSWORD": credentials.password,
        "LABEL_STUDIO_USER_TOKEN": credentials.token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "LOCAL_FILES_DOCUMENT_ROOT": str(files_root),
        # nothing leaves this machine
        "LATEST_VERSION_CHECK": "false",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        # our own help server listens on this machine
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
    }


class LabelStudioServer:
    """Label Studio on 127.0.0.1 with its data under the workspace; a context manager.

    workspace_root  data, login and log lie in workspace_root/.label-studio
    port            0: a free one
    files_root      folder from which images may be served; default the workspace
    binary          the label-studio program; default: found or installed, see `installation`
    say             hears what is going on, in sentences

    Raises UserError if one runs on this workspace already, if the port is taken, or if it does not come up; the log is
    server.log. Should this process die, even by SIGKILL, the server is stopped.
    """

    def __init__(
        self,
        workspace_root: Path,
        port: int = 0,
        files_root: Path | None = None,
        binary: Path | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.workspace_root = workspace_root.resolve()
        self.files_root = (files_root or workspace_root).resolve()
        self.data_dir = Layout(self.workspace_root).label_studio_data
        self.log_file = self.data_dir / "server.log"
        self._wanted_port = port
        self._binary = binary
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._credentials: Credentials | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def email(self) -> str:
        return self._login().email

    @property
    def password(self) -> str:
        return self._login().password

    @property
    def token(self) -> str:
        return self._login().token

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        binary = self._binary or label_studio_binary(self._say)
        self._credentials = stored_credentials(self.data_dir)
        self._lock = self._locked()
        try:
            self.port = self._wanted_port or _free_port()
            _check_port(self.port)
            self._process = self._launch(binary)
            self._wait_until_up()
            self._check_login()
            server, owner = psutil.Process(self._process.pid), psutil.Process()
            state = RunningServer(
                self.url,
                **asdict(self._credentials),
                pid=server.pid,
                started=server.create_time(),
                owner=owner.pid,
                owner_started=owner.create_time(),
            )
            write_bytes(Layout(self.workspace_root).label_studio_state, json.dumps(asdict(state)).encode(), mode=0o600)
        except BaseException:
            self.stop()
            raise

    def announce(self, people_url: str) -> None:
        """Let others know that annotators go through the proxy at this address."""
        path = Layout(self.workspace_root).label_studio_state
        state = json.loads(path.read_bytes()) | {"people_url": people_url}
        write_bytes(path, json.dumps(state).encode(), mode=0o600)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The exit code once the server has ended by itself; None if it still runs after `timeout_s`."""
        assert self._process is not None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """Stops the server and waits until it is gone; safe to call again."""
        process, self._process = self._process, None
        if process is not None:
            Layout(self.workspace_root).label_studio_state.unlink(missing_ok=True)
            assert process.stdin is not None
            process.stdin.close()  # the keeper's signal to stop
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _login(self) -> Credentials:
        if self._credentials is None:
            self._credentials = stored_credentials(self.data_dir)
        return self._credentials

    def _locked(self) -> IO[str]:
        """The lock of the data folder. The keeper inherits it, so it is held until the server is really gone."""
        file = (self.data_dir / "lock").open("w")
        deadline = time.monotonic() + 20
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                other = running_server(self.workspace_root)
                # without a record it is starting, or its owner has died and it is being stopped: wait for that
                if other is not None or time.monotonic() > deadline:
                    file.close()
                    where = "is being started or stopped" if other is None else f"already runs at {other.url}"
                    raise UserError(
                        f"Label Studio {where} for {self.workspace_root}.", "Use that one, or stop it first."
                    ) from None
                time.sleep(0.2)

    def _launch(self, binary: Path) -> subprocess.Popen[bytes]:
        assert self._lock is not None
        (self.data_dir / "home").mkdir(exist_ok=True)
        keeper = Path(__file__).with_name("keeper.py")
        server = [str(binary), "start", "--no-browser", "--internal-host", HOST, "--port", str(self.port)]
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with os.fdopen(os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-I", str(keeper), *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=server_environment(self.data_dir, self.files_root, self._login()),
                cwd=self.data_dir,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
                pass_fds=[self._lock.fileno()],
            )

    def _wait_until_up(self) -> None:
        process = self._process  # `stop` in another thread takes it away
        assert process is not None
        if not (self.data_dir / "label_studio.sqlite3").exists():
            self._say("Label Studio makes its database (once, half a minute).")
        deadline = time.monotonic() + START_TIMEOUT_S
        with httpx.Client(trust_env=False, timeout=5) as http:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise UserError(f"Label Studio did not start: {self._last_lines()}", f"See {self.log_file}.")
                with suppress(httpx.HTTPError):
                    if http.get(f"{self.url}/health").status_code == 200:
                        return
                time.sleep(0.25)
        raise UserError(f"Label Studio did not answer within {START_TIMEOUT_S:.0f} s.", f"See {self.log_file}.")

    def _check_login(self) -> None:
        """That the server which answers is ours, and complete."""
        address = f"{self.url}/api/current-user/whoami"
        with httpx.Client(trust_env=False, timeout=30) as http:
            answer = http.get(address, headers={"Authorization": f"Token {self.token}"})
        value: Any = answer.json() if answer.status_code == 200 else {}
        if value.get("email") != self.email:
            raise UserError(
                f"Label Studio at {self.url} does not know its own login ({answer.status_code}).",
                f"Its first start was interrupted, or {self.data_dir} is from elsewhere: move that folder away.",
            )

    def _last_lines(self) -> str:
        lines = self.log_file.read_text(errors="replace").strip().splitlines()[-2:]
        return " / ".join(line.strip() for line in lines) or "it said nothing."


def serve(workspace_root: Path, port: int = 0, say: Callable[[str], None] = lambda text: None) -> LabelStudioServer:
    """A started server with .url, .email, .password and .token; call .stop() at the end, or use it in a `with`."""
    server = LabelStudioServer(workspace_root, port, say=say)
    server.start()
    return server


def _alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return bool(abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _check_port(port: int) -> None:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"Port {port} on {HOST} cannot be used ({error.strerror}).", "Choose another with --port."
            ) from None
