"""compose.yaml and the Dockerfile: there is no engine here to run them, so all that can be said without one is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from compose_spec import PyCompose

from fewclicks.app import app

ROOT = Path(__file__).parents[1]
VARIABLE = re.compile(r"\$\{([A-Z_]+)(:\?[^}]*)?\}")
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|AUTH_STRING|_KEY$")
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")


def services() -> dict[str, Any]:
    return yaml.safe_load(TEXT)["services"]


def test_the_file_is_one_of_the_compose_specification() -> None:
    filled = yaml.safe_load(VARIABLE.sub("/filled", TEXT))
    parsed = PyCompose.from_json(json.dumps(filled))
    assert set(parsed.service_names()) == set(services())
    with pytest.raises(Exception, match="restarts"):  # it does look
        PyCompose.from_json(json.dumps({"services": {"a": {"image": "a", "restarts": "always"}}}))


def test_no_password_has_a_default_and_no_port_is_open_to_others() -> None:
    for name, required in VARIABLE.findall(TEXT):
        assert required, f"{name} may be empty"
    for name, service in services().items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) and variable != "AWS_ACCESS_KEY_ID":
                assert value == "true" or VARIABLE.search(str(value)), f"{name}: {variable} stands in the file"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} listens on {port}"
        image = service["image"]
        assert ":" in image, f"{name}: {image} may be any version"
        assert not image.endswith(":latest")


def test_whatever_listens_beyond_the_loopback_wants_a_token() -> None:
    beyond = {name: s["environment"] for name, s in services().items() if "0.0.0.0" in s.get("command", [])}
    assert set(beyond) == {"prefect", "dashboard"}
    assert "PREFECT_SERVER_API_AUTH_STRING" in beyond["prefect"]
    assert "FEWCLICKS_DASHBOARD_TOKEN" in beyond["dashboard"]


def test_the_commands_are_ours_and_the_versions_those_of_the_project() -> None:
    group = typer.main.get_command(app)
    for name, service in services().items():
        program, *words = service.get("command", [""])
        if program == "fewclicks":
            command = group.commands[words[0]]
            command.make_context(words[0], words[1:])
        assert program in ("", "fewclicks", "prefect", "server"), name
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert services()["worker"]["image"] == f"fewclicks:{version}"
    constraints = (ROOT / "constraints.txt").read_text()
    for pinned in re.findall(r"[a-z-]+==[0-9.]+", (ROOT / "Dockerfile").read_text()):
        assert pinned in constraints
    from connectors.label_studio.installation import VERSION

    assert services()["label-studio"]["image"].endswith(f":{VERSION}")


def test_the_image_holds_every_package_and_its_recipe_has_no_complaint() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(re.findall(r"^COPY (\w+) \1$", recipe, re.MULTILINE)) == sorted(name.rstrip("*") for name in found)
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
