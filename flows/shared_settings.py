"""The settings that all workers of a project go by: shared in its facts, and compared before anything is done."""

from __future__ import annotations

from typing import Any

import yaml

from connectors.label_studio.project import markers
from workspace.config import parse_config
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.layout import Layout

_RIGHT_ONES = "`fewclicks share DIR` makes these the project's; `fewclicks join` with its options brings those here."


def shared_settings(facts: Facts) -> dict[str, Any] | None:
    """What was shared last: the text of the settings, and by which marks our Label Studio projects are found."""
    last = None
    for event in facts.events(kind="settings"):
        last = event.payload
    return last


def check_shared(layout: Layout, facts: Facts) -> None:
    """UserError if a project was shared with other settings than those here: two workers must not differ in them."""
    shared = shared_settings(facts)
    if shared is None:
        return
    theirs = parse_config(yaml.safe_load(shared["settings"]), "The shared project")
    if theirs != layout.config():
        raise UserError(f"{layout.config_file} is not what the project was shared with.", _RIGHT_ONES)
    if markers(layout.root) != shared["label_studio"]:
        raise UserError(f"{layout.root} belongs to other Label Studio projects than were shared.", _RIGHT_ONES)


def settings_here(layout: Layout) -> dict[str, Any]:
    """What `share` puts into the facts: the settings of this folder, and the marks of its Label Studio projects."""
    text = layout.config_file.read_text(encoding="utf-8")
    return {"settings": text, "label_studio": markers(layout.root)}
