"""The reference of all settings, made from the settings themselves: types and limits from the code, words from
configs/default.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

_HEAD = """# Settings

Every key of a project's `fewclicks.yaml`. This page is made from the code: `fewclicks settings` prints it.
A misspelled key or a wrong value is an error that names it. `project.classes` has no default.
"""
_LINE = re.compile(r"^(?P<indent> *)(?P<key>[a-z_]+):(?P<value>[^#]*)(?:#(?!\w{6}) ?(?P<words>.*))?$")

_PAGE = re.compile(r"\bdocs/([a-z-]+\.md)")  # default.yaml names pages by their path, this one lies beside them


def settings_reference() -> str:
    """Markdown: a table per section with key, values, default and meaning."""
    from workspace.config import Config

    schema = Config.model_json_schema()
    explained = dict(_explained((files("configs") / "default.yaml").read_text(encoding="utf-8")))
    parts = [_HEAD]
    for section, reference in schema["properties"].items():
        told = explained.get(section, "")
        parts.append(f"\n## {section}\n" + (f"{_sentence(told)}\n\n" if told else "\n"))
        parts.append("| key | values | default | what |\n| --- | --- | --- | --- |\n")
        for key, field in _resolved(reference, schema)["properties"].items():
            default = "" if "default" not in field else f"`{json.dumps(field['default'])}`"
            row = f"`{section}.{key}`", _values(_resolved(field, schema)), default, explained[f"{section}.{key}"]
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n")
    return _PAGE.sub(r"[\1](\1)", "".join(parts))


def _explained(text: str) -> Iterator[tuple[str, str]]:
    """ "section" or "section.key" with the words behind it."""
    section = ""
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        if not found["indent"]:
            section = found["key"]
            yield section, found["words"] or ""
        elif len(found["indent"]) == 2:
            yield f"{section}.{found['key']}", found["words"] or ""


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _resolved(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(field.get("$ref", "")).rpartition("/")[2]
    return schema["$defs"][name] if name else field


def _values(field: Mapping[str, Any]) -> str:
    """What a value may be: "true or false", "1 to 5", "above 0", names of a choice."""
    if "anyOf" in field:
        return " or ".join(_values(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind = field.get("type")
    if kind == "array":
        return "list"
    names = {
        "boolean": "true or false",
        "string": "text",
        "null": "null",
        "integer": "whole number",
        "number": "number",
    }
    text = names.get(str(kind), "text")
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f"{text}, {low:g} to {high:g}"
    above = field.get("exclusiveMinimum")
    if above is not None:
        return f"{text} above {above:g}" + (f", at most {high:g}" if high is not None else "")
    return f"{text}, at least {low:g}" if low is not None else text
