"""A project on a Prefect server: `tick` on a schedule, and `steer` for whoever gives orders from its page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import flows
from flows.embedded import OFFLINE
from workspace.errors import ToolUnavailable, UserError
from workspace.layout import Layout

PACKAGES = Path(flows.__file__).parents[1]  # where the worker finds our folders


def deployment_name(layout: Layout) -> str:
    return f"{layout.config().project.name}-{layout.root.name}"


def wake(layout: Layout) -> None:
    """Have a worker run the project's `tick` now; ToolUnavailable if the server at PREFECT_API_URL does not take it."""
    import httpx
    from prefect.deployments import run_deployment
    from prefect.exceptions import PrefectHTTPStatusError

    name = f"tick/{deployment_name(layout)}"
    try:
        run_deployment(name, timeout=0, as_subflow=False)
    except (httpx.HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ToolUnavailable(f"The Prefect server did not start {name}: {reason}.", "Is it running?") from None


def deploy(root: Path, cron: str, pool: str) -> str:
    """Register or replace the project's `tick` and `steer` at PREFECT_API_URL; returns "flow/deployment" of the first.

    cron: five fields, in UTC. The work pool is made if there is none of that name (type: process).
    """
    layout = Layout(root.resolve())
    project = layout.config().project.name
    address = os.environ.get("PREFECT_API_URL")
    if not address:
        raise UserError(
            "PREFECT_API_URL is not set, so there is no server to deploy to.",
            "Start one with `prefect server start --host 127.0.0.1` and set PREFECT_API_URL=http://127.0.0.1:4200/api.",
        )
    for name, value in OFFLINE.items():
        os.environ.setdefault(name, value)
    schedule = _schedule(cron)

    import httpx
    from prefect import Flow
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        _ensure_pool(pool)
        name = deployment_name(layout)
        for flow, schedules, what in (
            (
                "tick",
                [schedule],
                f"Moves every video of the fewclicks project {project} on where people have answered.",
            ),
            ("steer", [], f"Pauses, resumes, cancels or retries videos of the fewclicks project {project}."),
        ):
            # an address of the code, not an object: the worker loads the flow in a process of its own
            source: Any = Flow.from_source(source=str(PACKAGES), entrypoint=f"flows/advance.py:{flow}")
            source.deploy(
                name=name,
                work_pool_name=pool,
                schedules=schedules,
                parameters={"workspace": str(layout.root)},
                description=what,
                tags=["fewclicks"],
                job_variables={"env": {"OMP_WAIT_POLICY": "PASSIVE"}},
                build=False,
                push=False,
                print_next_steps=False,
                ignore_warnings=True,
            )
    except (httpx.HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"The Prefect server at {address} did not take the deployment: {reason}.", "Is it running?"
        ) from None
    return f"tick/{name}"


def check_schedule(cron: str) -> None:
    """UserError if this is no cron schedule."""
    _schedule(cron)


def _schedule(cron: str) -> Any:
    from prefect.schedules import Cron
    from pydantic import ValidationError

    try:
        return Cron(cron, timezone="UTC")
    except (ValueError, ValidationError):
        raise UserError(
            f"{cron!r} is not a cron schedule.", 'Five fields, for example --cron "*/10 * * * *".'
        ) from None


def _ensure_pool(pool: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        except ObjectAlreadyExists:
            return
