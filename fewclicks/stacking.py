"""Everything that a project needs on one machine, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The project.")]
_Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")]


def up(
    folder: Folder,
    cron: Annotated[str, typer.Option(help="When to look at the videos: five cron fields, UTC.")] = "* * * * *",
    pool: Annotated[str, typer.Option(help="Prefect work pool of the worker.")] = "fewclicks",
    label_studio_port: _Port = 8080,
    prefect_port: _Port = 4200,
    dashboard_port: _Port = 8090,
) -> None:
    """Run Label Studio, Prefect, a worker and what else the project uses on 127.0.0.1, until Ctrl-C.

    Example: fewclicks up street --prefect-port 4201
    """
    import signal
    import threading

    from rich.console import Console
    from rich.table import Table

    from flows.deployments import check_schedule
    from flows.stack import Ports, services
    from flows.supervision import Supervisor
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    check_schedule(cron)
    console = Console()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    logs = layout.root / ".up"

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    with Supervisor([], logs, say) as supervisor:
        # the lock comes first: a port that a second `up` finds taken is taken by the first
        ports = Ports(label_studio_port, prefect_port, dashboard_port)
        table = services(layout, config, ports, cron, pool)
        supervisor.take(table)

        def ready() -> None:
            shown = Table("service", "address", "log", title=f"fewclicks up: {config.project.name}")
            for service in table:
                if not service.once:
                    shown.add_row(service.name, service.address, str(logs / f"{service.name}.log"))
            console.print(shown)
            say(f"Login of Label Studio: {layout.label_studio_state} (readable by you alone)")
            say("Ctrl-C stops everything.")

        supervisor.run(stop.is_set, ready)
        say("Stopping.")
    say("Everything has stopped.")


def listen(folder: Folder) -> None:
    """Look at the videos as soon as an answer comes, instead of at the next tick: needs label_studio.webhook.

    Example: PREFECT_API_URL=http://127.0.0.1:4200/api fewclicks listen street
    """
    from rich.console import Console

    from flows.deployments import wake
    from flows.tools import label_studio_tool, listen_to_label_studio, webhook_alarm
    from workspace.errors import ToolUnavailable, UserError
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    if config.label_studio.webhook is None:
        raise UserError(
            f"label_studio.webhook is not set in {layout.config_file}.",
            "Set it to the address at which Label Studio reaches this command, such as http://127.0.0.1:8095.",
        )
    console = Console()
    pause_s = 30.0  # until a project exists there is nothing to listen to
    with webhook_alarm(layout, config) as alarm:
        console.print(f"Listening at {config.label_studio.webhook}.", highlight=False)
        while True:
            try:
                for review in (False, True):
                    listen_to_label_studio(layout, config, label_studio_tool(layout, config, review))
                if alarm.wait(pause_s):
                    wake(layout)
            except ToolUnavailable as error:
                console.print(f"{error} Trying again in {pause_s:g} s.", highlight=False, markup=False)
                alarm.wait(pause_s)
