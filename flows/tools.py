"""The labeling tool of a project, from its settings and the secrets of this machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from connectors.label_studio.assist_connection import AssistAddress
from connectors.label_studio.server import running_server
from connectors.label_studio.tool import LabelStudioTool
from connectors.label_studio.webhook import Alarm, register, stored_secret
from workspace.config import Config
from workspace.errors import ToolUnavailable, UserError
from workspace.layout import Layout
from workspace.redaction import keep_secret

ASSIST_USER = "fewclicks"
TOKEN_VARIABLE = "LABEL_STUDIO_API_KEY"  # noqa: S105 - a name, not a token
ASSIST_VARIABLE = "FEWCLICKS_ASSIST_SECRET"
WEBHOOK_VARIABLE = "FEWCLICKS_WEBHOOK_SECRET"


def label_studio_address(layout: Layout, config: Config) -> tuple[str, str]:
    """Address and token: from the settings and `LABEL_STUDIO_API_KEY` or the key file, else from `fewclicks serve`.

    ToolUnavailable while that one does not run; UserError where only a token is missing.
    """
    token = keep_secret(os.environ.get(TOKEN_VARIABLE, "").strip())
    if not token and config.label_studio.api_key_file is not None:
        token = _read_secret(layout.root / config.label_studio.api_key_file)
    if token and config.label_studio.url is not None:
        return config.label_studio.url, token
    server = running_server(layout.root)
    if server is not None and config.label_studio.url is None:
        return server.url, token or server.token
    hint = f"Start one with `fewclicks serve {layout.root}`, or set label_studio.url and {TOKEN_VARIABLE}."
    if config.label_studio.url is not None:
        raise UserError("No Label Studio token is set for this project.", hint)
    raise ToolUnavailable("No Label Studio is running for this project.", hint)


def label_studio_tool(layout: Layout, config: Config, review: bool = False) -> LabelStudioTool:
    """The tool that asks for labels, or with `review` the one in which they are looked at again."""
    if config.workspace.remote is not None and config.label_studio.storage is None:
        raise UserError(
            "workspace.remote is set and label_studio.storage is not: people would see only pictures of one machine.",
            "Set label_studio.storage, for example s3://bucket/pictures (docs/label-studio.md).",
        )
    url, token = label_studio_address(layout, config)
    server = running_server(layout.root)
    root = config.label_studio.files_root
    return LabelStudioTool(
        url,
        token,
        title=config.project.name,
        classes=config.project.classes,
        background=config.project.background,
        files_root=layout.root if root is None else (layout.root / root).resolve(),
        workspace_root=layout.root,
        tiles=config.label_studio.tiles,
        tile_patches=config.label_studio.tile_patches,
        people_url=None if server is None or server.url != url else server.people_url,
        effort_file=layout.effort_file,
        click_file=layout.click_file,
        storage=config.label_studio.storage,
        review=review,
        assist=assist_address(layout, config),
    )


def assist_address(layout: Layout, config: Config) -> AssistAddress | None:
    """Where the server that helps annotators is reached, and its password, made once; None if there is to be none."""
    if config.assist.url is None:
        return None
    return AssistAddress(config.assist.url, ASSIST_USER, stored_secret(layout.assist_secret_file, ASSIST_VARIABLE))


def webhook_alarm(layout: Layout, config: Config) -> Alarm:
    """Listens for Label Studio's calls at `label_studio.webhook`; a context manager."""
    assert config.label_studio.webhook is not None
    return Alarm(config.label_studio.webhook, stored_secret(layout.webhook_secret_file, WEBHOOK_VARIABLE))


def listen_to_label_studio(layout: Layout, config: Config, tool: LabelStudioTool) -> None:
    """Have Label Studio call `label_studio.webhook`, once there are projects; repeated it changes nothing."""
    for project in (tool.project_id(), tool.tiles_project_id()):
        if project is not None and config.label_studio.webhook is not None:
            url, token = label_studio_address(layout, config)
            register(
                url,
                token,
                project,
                config.label_studio.webhook,
                stored_secret(layout.webhook_secret_file, WEBHOOK_VARIABLE),
            )


def _read_secret(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise UserError(f"{path} can be read by others (mode {mode:o}).", f"Run `chmod 600 {path}`.")
        return keep_secret(path.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise UserError(f"The token file {path} cannot be read: {error.strerror}.") from None
