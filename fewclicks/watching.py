"""The web pages that show how it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dashboard(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The projects.")],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Other than this machine's own: a token is required.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 8090,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="Holds the token; mode 600. Or FEWCLICKS_DASHBOARD_TOKEN."),
    ] = None,
) -> None:
    """Serve pages with clicks saved, quality, queue and throughput, a player, and metrics, until Ctrl-C; read-only.

    Example: fewclicks dashboard street harbour --port 8090
    """
    import os
    import socket

    import uvicorn

    from dashboard.access import VARIABLE, read_token
    from dashboard.project import open_projects
    from dashboard.server import dashboard_app
    from workspace.errors import UserError

    token = read_token(host, token_file, os.environ.get(VARIABLE))
    projects = open_projects(folders)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UserError(
            f"{host}:{port} cannot be used ({error.strerror}).", "Choose another --host or --port."
        ) from None
    shown = f"[{host}]" if ":" in host else host
    print(f"Dashboard: http://{shown}:{listening.getsockname()[1]}   (Ctrl-C stops it)", flush=True)
    if token is not None:
        print("Open it once with ?token=... at the end of its address; the browser remembers.", flush=True)
    # addresses may hold the token, so requests are not logged
    settings = uvicorn.Config(
        dashboard_app(projects, token, host), access_log=False, log_level="warning", server_header=False, lifespan="off"
    )
    try:
        uvicorn.Server(settings).run([listening])
    finally:
        for project in projects:
            project.facts.close()
