"""A project on a Prefect server: `tick` on a schedule, and `steer` for whoever gives orders from its page."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flows
from flows.embedded import OFFLINE
from flows.supervision import address_of
from workspace.errors import ToolUnavailable, UserError
from workspace.facts import Facts
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

    cron: five fields, in UTC, for all videos that have no schedule of their own. The work pool is made if there is none
    of that name (type: process).
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
    schedules = _schedules(layout, cron)

    import httpx
    from prefect import Flow
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        _ensure_pool(pool)
        name = deployment_name(layout)
        for flow, when, what in (
            (
                "tick",
                schedules,
                f"Moves every video of the fewclicks project {project} on where people have answered.",
            ),
            ("steer", [], f"Pauses, resumes, cancels or retries videos of the fewclicks project {project}."),
        ):
            # an address of the code, not an object: the worker loads the flow in a process of its own
            source: Any = Flow.from_source(source=str(PACKAGES), entrypoint=f"flows/advance.py:{flow}")
            source.deploy(
                name=name,
                work_pool_name=pool,
                schedules=when,
                parameters={"workspace": str(layout.root)},
                description=what,
                tags=["fewclicks"],
                job_variables={"env": {"OMP_WAIT_POLICY": "PASSIVE"}},
                build=False,
                push=False,
                print_next_steps=False,
                ignore_warnings=True,
            )
        _remove_schedules(f"tick/{name}", {one.slug for one in schedules})
    except (httpx.HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"The Prefect server at {address} did not take the deployment: {reason}.", "Is it running?"
        ) from None
    return f"tick/{name}"


def schedule_videos(layout: Layout, videos: Sequence[str], cron: str | None) -> list[bool]:
    """Give videos a schedule of their own (None: the project's again); whether each was changed.

    UserError, before any video is touched, for an id that there is not and for what is no schedule.
    """
    if cron is not None:
        check_schedule(cron)
    with Facts.of(layout) as facts:
        for video in videos:
            facts.video(video)
        return [facts.schedule(video, cron) for video in videos]


def use_server_of_up(layout: Layout) -> None:
    """Without PREFECT_API_URL it is the server that `fewclicks up` runs; call it before anything imports Prefect."""
    address = address_of(layout.root / ".up", "prefect-server")
    if address is not None:
        os.environ.setdefault("PREFECT_API_URL", f"{address}/api")


def renew_schedules(layout: Layout) -> bool:
    """Have the server at PREFECT_API_URL follow the facts, with the project's own schedule and pool as they are there.

    False if there is none, or it does not have the project: the next `fewclicks deploy` or `up` does the same.
    """
    if "PREFECT_API_URL" not in os.environ:
        return False
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleUpdate, DeploymentUpdate
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    try:
        with get_client(sync_client=True) as client:
            known = client.read_deployment_by_name(f"tick/{deployment_name(layout)}")
            of_the_project = [one.schedule for one in known.schedules if not one.parameters]
            crons = [schedule.cron for schedule in of_the_project if isinstance(schedule, CronSchedule)]
            if len(crons) != 1:
                return False
            schedules = _schedules(layout, crons[0])
            active = {one.slug: one.active for one in known.schedules}  # one may be paused on Prefect's page
            client.update_deployment(
                known.id,
                DeploymentUpdate(
                    schedules=[
                        DeploymentScheduleUpdate(
                            schedule=CronSchedule(cron=one.cron, timezone="UTC"),
                            active=active.get(one.slug, True),
                            parameters=one.parameters,
                            slug=one.slug,
                        )
                        for one in schedules
                    ]
                ),
            )
    except (ObjectNotFound, httpx.HTTPError, PrefectHTTPStatusError, RuntimeError):
        return False
    _remove_schedules(f"tick/{deployment_name(layout)}", {one.slug for one in schedules})
    return True


def _remove_schedules(deployment: str, keep: set[str]) -> None:
    """Prefect's server changes and adds schedules by their slug, and leaves the others as they are."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        known = client.read_deployment_by_name(deployment)
        for one in known.schedules:
            if one.slug not in keep:
                client.delete_deployment_schedule(known.id, one.id)


def check_schedule(cron: str) -> None:
    """UserError if this is no cron schedule."""
    _schedule(cron)


def _schedules(layout: Layout, cron: str) -> list[Any]:
    """That of the project and those of single videos, by which Prefect calls `tick` with other parameters."""
    found = [_schedule(cron, slug="project")]
    with Facts.of(layout) as facts:
        rows = [row for row in facts.videos() if row.cron is not None]
    return found + [_schedule(str(row.cron), row.video.id, {"videos": [row.video.id]}) for row in rows]


def _schedule(cron: str, slug: str | None = None, parameters: dict[str, Any] | None = None) -> Any:
    from prefect.schedules import Cron
    from prefect.server.schemas.schedules import CronSchedule

    hint = 'Five fields, for example --cron "*/10 * * * *".'
    try:
        if len(cron.split()) != 5:  # Prefect takes six as well, with seconds: nobody is looked at so often
            raise ValueError
        schedule = Cron(cron, timezone="UTC", slug=slug, parameters=parameters)
    except ValueError:
        raise UserError(f"{cron!r} is not a cron schedule.", hint) from None
    try:
        # the 31st of February would end the scheduler of Prefect's server, and with it everybody's schedules
        asyncio.run(CronSchedule(cron=cron, timezone="UTC").get_dates(n=1))
    except ValueError:
        raise UserError(f"{cron!r} names a day that never comes.", hint) from None
    return schedule


def _ensure_pool(pool: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        except ObjectAlreadyExists:
            return
