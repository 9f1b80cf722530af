"""The job template for Kubernetes: what Prefect demands of a template, and its Kubernetes worker of a job."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import prefect
import pytest
from prefect.utilities.templating import apply_values
from prefect.workers.base import BaseJobConfiguration

TEMPLATE: dict[str, Any] = json.loads((files("configs") / "kubernetes-job.json").read_text(encoding="utf-8"))
COLLECTIONS = Path(prefect.__file__).parent / "server/api/collections_data/views/aggregate-worker-metadata.json"
VALUES = {
    "image": "registry.example/fewclicks:0.1.0",
    "database": "postgresql://fewclicks@db.example/facts",
    "facts_schema": "fewclicks_street",
    "folder": "/srv/fewclicks/street",
    "gpus": 1,
    "env": {"PREFECT_API_URL": "http://prefect.example:4200/api"},
    "command": "prefect flow-run execute",
    "name": "tick",
}


def placeholders(value: Any) -> set[str]:
    return set(re.findall(r"\{\{ *(\w+) *\}\}", json.dumps(value)))


def paths(value: Any, at: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Path -> value of every leaf."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {path: leaf for key, part in items for path, leaf in paths(part, (*at, key)).items()}
    return found or {at: value}


def test_the_template_is_one_of_prefects() -> None:
    theirs = json.loads(COLLECTIONS.read_text())["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]
    jsonschema.Draft202012Validator.check_schema(TEMPLATE["variables"])
    assert set(TEMPLATE) == set(theirs)
    assert placeholders(TEMPLATE["job_configuration"]) == set(TEMPLATE["variables"]["properties"])
    # everything that the worker's own template has is in ours, in the same place
    ours = paths(TEMPLATE["job_configuration"])
    missing = {path: leaf for path, leaf in paths(theirs["job_configuration"]).items() if ours.get(path) != leaf}
    assert missing == {}
    for name, known in theirs["variables"]["properties"].items():
        assert TEMPLATE["variables"]["properties"][name]["type"] == known.get("type", "object"), name


def test_a_job_of_it_joins_the_project_and_runs_without_rights() -> None:
    jsonschema.validate(VALUES, TEMPLATE["variables"])
    # the two steps by which a worker makes a job of a template, which itself would ask a server about blocks
    defaults = BaseJobConfiguration._get_base_config_defaults(TEMPLATE["variables"]["properties"])
    manifest = apply_values(TEMPLATE["job_configuration"], defaults | VALUES)["job_manifest"]
    assert placeholders(manifest) == set()
    pod = manifest["spec"]["template"]["spec"]
    (join,), (main,) = pod["initContainers"], pod["containers"]
    assert join["command"] == [
        "fewclicks", "join", "/srv/fewclicks/street",
        "--database", "postgresql://fewclicks@db.example/facts", "--schema", "fewclicks_street",
    ]  # fmt: skip
    assert join["volumeMounts"] == main["volumeMounts"] == [{"name": "work", "mountPath": "/srv/fewclicks/street"}]
    assert main["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 1}
    assert pod["securityContext"]["runAsUser"] == 1000
    for container in (join, main):
        assert container["image"] == VALUES["image"]
        assert container["envFrom"] == [{"secretRef": {"name": "fewclicks"}}]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize(
    ("name", "value"),
    [("database", "postgresql://a:secret@b/c"), ("facts_schema", "x; DROP"), ("folder", "street"), ("gpu", 1)],
)
def test_wrong_values_are_refused(name: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(VALUES | {name: value}, TEMPLATE["variables"])
