"""Help for annotators: a server beside Label Studio, and the models it uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    import socket

    from workspace.layout import Layout


class _ServesByDefault(TyperGroup):
    """`fewclicks assist DIR` is short for `fewclicks assist serve DIR`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            args = ["serve", *args]
        return super().resolve_command(ctx, args)


assist = typer.Typer(
    cls=_ServesByDefault,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Help people who paint: a click becomes a mask, a rough box snaps to its object (docs/assist.md).\n\n"
    "Example: fewclicks assist street",
)


@assist.command()
def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Listen there; default: on this machine only, if assist.url names it."),
    ] = None,
) -> None:
    """Help people who paint in the project's Label Studio, until Ctrl-C. Set assist.url first (docs/assist.md).

    Example: fewclicks assist street
    """
    import contextlib

    import uvicorn
    from rich.console import Console

    from assist.renewal import ModelFolder
    from assist.server import assist_app
    from assist.service import Assist
    from connectors.label_studio.bucket_links import BucketLinks
    from connectors.label_studio.image_source import ImageSource
    from flows.tools import assist_address, label_studio_address
    from workspace.errors import UserError
    from workspace.layout import Layout
    from workspace.redaction import redact_logs

    layout = Layout(folder.resolve())
    config = layout.config()
    address = assist_address(layout, config)
    if address is None:
        raise UserError(
            f"assist.url is not set in {layout.config_file}.",
            "Set it to the address at which Label Studio reaches this command, such as http://127.0.0.1:8096.",
        )
    model = None if config.assist.model is None else layout.root / config.assist.model
    found = ModelFolder(config.assist.backend, model, weights_of(layout, config.assist.weights))
    backend, snapper = found.helpers.backend, found.helpers.snapper
    url, token = label_studio_address(layout, config)
    storage = config.label_studio.storage
    bucket = None if storage is None else BucketLinks.of(storage)
    redact_logs()
    name, _, port = address.url.removeprefix("http://").partition(":")
    local = name in ("127.0.0.1", "localhost")
    where = host or ("127.0.0.1" if local else "0.0.0.0")  # noqa: S104 - Label Studio is on another machine
    listening = _listening(where, int(port))
    console = Console()
    helping = f"{backend.version} and {snapper.version}"
    console.print(f"Helping with {helping} at {address.url}", highlight=False, soft_wrap=True)
    also = "" if storage is None else f" and {storage}"
    console.print(f"Pictures:     from Label Studio at {url}{also}, and nowhere else", highlight=False, soft_wrap=True)
    console.print(f"Next:         fewclicks run {folder}   (Ctrl-C here stops the help)", highlight=False)
    with ImageSource(url, token, bucket) as source:
        helper = Assist(source, backend, snapper, renewed=found.renewed, click_file=layout.click_file)
        app = assist_app(helper, address.user, address.password)
        settings = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        with contextlib.suppress(KeyboardInterrupt):  # which it raises again after it has stopped
            uvicorn.Server(settings).run(sockets=[listening])
    console.print("The help has stopped.")


@assist.command()
def train(
    data: Annotated[
        list[Path],
        typer.Option(
            metavar="PATH",
            help="A folder with frames/, masks/ and meta.json, a COCO file, or a project with labels; may be repeated.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the model goes; an unfinished one there goes on.")],
    weights: Annotated[
        str | None, typer.Option(metavar="PATH", help="Of the encoder: a state dict, or torchvision's name.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A segmenter; default mobilenet_v2 with --weights, else compact."),
    ] = None,
    images: Annotated[
        int, typer.Option(min=1, help="At most so many are learned from, for clicks and for boxes.")
    ] = 20_000,
    minutes: Annotated[float, typer.Option(min=0.1, help="At most so long, for clicks and for boxes.")] = 28.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Learn from masks how clicks become masks and how boxes snap. The encoder's weights stay where they are.

    From a project it learns on in the same folder after each round, and takes what it learned only if that does better
    on labels that were held out.

    Example: fewclicks assist train --data footage --weights mobilenet_v2.pth --out model
    """
    from assist.training.train import Effort
    from assist.training.train import train as learn
    from fewclicks.assist_material import material_of

    name = encoder or ("compact" if weights is None else "mobilenet_v2")
    learn(material_of(data, print), out, name, weights, Effort(images, minutes, seed), print)


def weights_of(layout: Layout, weights: str | None) -> str | None:
    """A folder beside the settings if there is one of that name, else the name as it is."""
    if weights is None:
        return None
    beside = layout.root / Path(weights).expanduser()
    return str(beside) if beside.is_dir() else weights


def _listening(host: str, port: int) -> socket.socket:
    """A socket that is bound; UserError, and not a traceback out of the server, where that cannot be."""
    import socket

    from workspace.errors import UserError

    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except (OSError, OverflowError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{host}:{port} cannot be listened on ({reason}).", "Choose another in assist.url.") from None
    return made
