"""Label Studio for the project, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 8080,
) -> None:
    """Start Label Studio for the project on 127.0.0.1 until Ctrl-C; installed on first use, in its own environment.

    Example: fewclicks serve street --port 8090
    """
    import signal
    import threading

    from rich.console import Console

    from connectors.label_studio.effort_proxy import EffortProxy
    from connectors.label_studio.server import serve as start
    from workspace.errors import UserError
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    counting = layout.config().label_studio.count_clicks
    console = Console()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = start(layout.root, 0 if counting else port, console.print)
    proxy = None
    try:
        if counting:
            proxy = EffortProxy(server.url, layout.effort_file, port).start()
            server.announce(proxy.url)
        console.print(f"Label Studio: {proxy.url if proxy else server.url}", highlight=False)
        if proxy:
            console.print("Clicks and active seconds of every answer are counted (docs/people.md).")
        console.print(f"Login:        {server.email}", highlight=False)
        # on a terminal only the person who started it reads it; a log file must not hold it
        secret = server.password if console.is_terminal else f"in {layout.label_studio_state} (readable by you alone)"
        console.print(f"Password:     {secret}", highlight=False, markup=False)
        console.print(f"Next:         fewclicks run {folder}   (Ctrl-C here stops Label Studio)", highlight=False)
        code = None
        while code is None and not stop.is_set():
            code = server.wait(0.5)
    finally:
        if proxy:
            proxy.stop()
        server.stop()
    if code is not None:
        raise UserError(f"Label Studio ended by itself with exit code {code}.", f"Its log is {server.log_file}.")
    console.print("Label Studio has stopped.")
