"""A project on several machines: one shares its settings and files, others join it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from connectors.label_studio.project import adopt_markers
from flows.context import ShowProgress, silent
from flows.keeping import Keeping, facts_of, keeping_of
from flows.shared_settings import settings_here, shared_settings
from workspace.config import parse_config
from workspace.databases import schema_of
from workspace.errors import UserError
from workspace.facts import Facts, NewEvent
from workspace.files import write_bytes
from workspace.layout import Layout
from workspace.video import Video


def share(layout: Layout, anew: bool = False) -> Iterator[str]:
    """Make the settings here the project's, and see that the files of every video are in `workspace.remote`.

    anew: store all files that are here once more, for a store that lost some. Yields a line per video, then what to
    type on another machine. UserError for a project without `workspace.remote`.
    """
    config = layout.config()
    keeping = _keeping(layout)
    with Facts.of(layout, keeping) as facts:
        shared = settings_here(layout)
        if shared != shared_settings(facts):
            facts.append(None, 0, NewEvent("settings", shared))
        for row in facts.videos():
            lease = facts.claim(row.video.id, config.lease.seconds)
            if lease is None:
                yield f"{row.video.id}: another process is at it, or it is held; its next step stores its files"
                continue
            try:
                payload = keeping.keep(row.video, lease.beat, anew=anew)
                lease.record([] if payload is None else [NewEvent("kept", payload)])
            finally:
                lease.release()
            made = () if payload is None else payload["packs"]
            size = sum(pack["bytes"] for pack in made) / 2**20
            yield f"{row.video.id}: {sum(pack['files'] for pack in made)} file(s) stored, {size:.1f} MB"
    schema = config.facts.schema_name or schema_of(config.project.name)
    yield f"On another machine: fewclicks join DIR --database {config.facts.database} --schema {schema}"


def join(folder: Path, database: str, schema: str) -> Layout:
    """Make a working copy of a shared project at `folder`, or bring the settings of the one there up to date.

    UserError if no project was shared there, or another project lies in the folder.
    """
    layout = Layout(folder.resolve())
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file.", "Give the name of a folder.")
    with Facts.connect(database, schema, read_only=True, make=False) as facts:
        shared = shared_settings(facts)
    if shared is None:
        raise UserError(f"No project was shared in {schema}.", "Run `fewclicks share DIR` where the project is.")
    config = parse_config(yaml.safe_load(shared["settings"]), f"The shared project in {schema}")
    if (config.facts.database, config.facts.schema_name or schema_of(config.project.name)) != (database, schema):
        raise UserError(
            f"The shared settings name another database than {database} with {schema}.",
            "Set facts.database to an address that every machine reaches, and share the project again.",
        )
    if layout.config_file.exists() and layout.config().facts != config.facts:
        raise UserError(f"Another project lies in {folder}.", "Choose another folder.")
    try:
        write_bytes(layout.config_file, shared["settings"].encode())
        layout.videos.mkdir(exist_ok=True)
        adopt_markers(layout.root, shared["label_studio"])
    except OSError as error:
        raise UserError(f"{layout.root} cannot be written: {error.strerror}.") from None
    return layout


def fetch(layout: Layout, show: ShowProgress = silent) -> int:
    """Bring the files of every video here, for export and for looking at them; returns how many videos there are."""
    with facts_of(layout) as facts:
        rows = facts.videos()
        for number, row in enumerate(rows):
            show(f"fetching {row.video.id}", number / len(rows))
            fetch_video(_keeping(layout), facts, row.video)
    return len(rows)


def fetch_video(keeping: Keeping, facts: Facts, video: Video) -> None:
    keeping.bring(video, [event.payload for event in facts.events(video.id, "kept")], lambda: None)


def _keeping(layout: Layout) -> Keeping:
    keeping = keeping_of(layout)
    if keeping is None:
        raise UserError(
            f"The files of {layout.root} lie in its folder only.",
            "Set workspace.remote, for example s3://bucket/street.",
        )
    return keeping
