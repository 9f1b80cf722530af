"""One real Label Studio server for a whole test session, on a database that is made once and kept in .cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.label_studio.assist_connection import AssistAddress
from connectors.label_studio.installation import VERSION, installed_binary
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from workspace.config import ClassConfig

_TEMPLATES = Path(__file__).parents[1] / ".cache"
_KEPT = ("label_studio.sqlite3", ".env", "credentials.json")


@pytest.fixture(scope="session")
def label_studio_binary() -> Path:
    """The real program; without it the test is skipped, or fails where CI or FEWCLICKS_REQUIRE_REAL=1 is set."""
    binary = installed_binary()
    if binary is None:
        reason = "Label Studio is not installed: set LABEL_STUDIO_BIN, or run `fewclicks serve DIR` once"
        if os.environ.get("CI") or os.environ.get("FEWCLICKS_REQUIRE_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return binary


@pytest.fixture(scope="session")
def label_studio_template(label_studio_binary: Path) -> Path:
    """A data folder after the first start (half a minute of migrations), to copy."""
    template = _TEMPLATES / f"label-studio-template-{VERSION}"
    _TEMPLATES.mkdir(exist_ok=True)
    with (_TEMPLATES / "label-studio-template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            made = _TEMPLATES / f"label-studio-{uuid.uuid4().hex[:8]}"
            with LabelStudioServer(made, binary=label_studio_binary) as server:
                data_dir = server.data_dir
            complete = made / "complete"
            complete.mkdir()
            for name in _KEPT:
                shutil.copy2(data_dir / name, complete / name)
            complete.rename(template)
            shutil.rmtree(made)
    return template


@pytest.fixture(scope="session")
def start_label_studio(label_studio_binary: Path, label_studio_template: Path) -> Callable[[Path], LabelStudioServer]:
    """Makes a server, not yet started, with an empty database under a workspace folder: up in 3 to 6 s."""

    def prepare(workspace_root: Path) -> LabelStudioServer:
        server = LabelStudioServer(workspace_root, binary=label_studio_binary)
        server.data_dir.mkdir(parents=True, exist_ok=True)
        for name in _KEPT:
            if not (server.data_dir / name).exists():
                shutil.copy2(label_studio_template / name, server.data_dir / name)
        return server

    return prepare


@pytest.fixture(scope="session")
def label_studio_server(
    tmp_path_factory: pytest.TempPathFactory, start_label_studio: Callable[[Path], LabelStudioServer]
) -> Iterator[LabelStudioServer]:
    """The server of the session; its workspace_root is where images must lie."""
    with start_label_studio(tmp_path_factory.mktemp("label_studio")) as server:
        yield server


@pytest.fixture
def make_label_studio_tool(label_studio_server: LabelStudioServer) -> Callable[..., LabelStudioTool]:
    """Makes tools with a project of their own on the server of the session; several tools of one test share it."""
    project_file = label_studio_server.workspace_root / "projects" / f"{uuid.uuid4().hex}.json"

    def make(
        classes: tuple[str, ...] = ("road", "car", "sky"),
        background: str | None = None,
        url: str | None = None,
        api_key: str | None = None,
        batch: int = 100,
        tiles: int = 20,
        tile_patches: bool = False,
        storage: str | None = None,
        review: bool = False,
        assist: AssistAddress | None = None,
    ) -> LabelStudioTool:
        root = label_studio_server.workspace_root
        return LabelStudioTool(
            url=url or label_studio_server.url,
            api_key=api_key or label_studio_server.token,
            title="contract",
            classes=tuple(ClassConfig(name=name) for name in classes),
            background=background,
            files_root=root,
            workspace_root=root,
            project_file=project_file,
            batch=batch,
            tiles=tiles,
            tile_patches=tile_patches,
            storage=storage,
            review=review,
            assist=assist,
        )

    return make
