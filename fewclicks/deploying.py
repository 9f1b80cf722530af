"""Putting a project on a schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def deploy(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    cron: Annotated[str, typer.Option(help="When to look at the videos: five cron fields, UTC.")] = "*/5 * * * *",
    pool: Annotated[
        str, typer.Option(help="Prefect work pool; made (type: process) if it is not there.")
    ] = "fewclicks",
) -> None:
    """Register the project as a scheduled deployment on the Prefect server at PREFECT_API_URL.

    Example: PREFECT_API_URL=http://127.0.0.1:4200/api fewclicks deploy street --cron "*/10 * * * *"
    """
    from flows.deployments import deploy as register

    name = register(folder, cron, pool)
    print(f"Deployed {name} ({cron}). A worker runs it: prefect worker start --pool {pool}")
