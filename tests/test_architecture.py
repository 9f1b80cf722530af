"""The house: imports point down, and the pure folders stay pure."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MIDDLE = {"selection", "propagation", "connectors", "quality"}
UPPER = {"flows", "assist", "dashboard"}
MAY_IMPORT = (
    {"workspace": set(), "configs": set()}
    | {name: {"workspace"} for name in MIDDLE}
    | {name: MIDDLE | {"workspace"} for name in UPPER}
    | {"fewclicks": UPPER | MIDDLE | {"workspace"}}
    | {"benchmarks": UPPER | MIDDLE | {"workspace", "fewclicks"}}
)
NOT_PURE = {"prefect", "httpx", "requests", "urllib", "http", "socket", "sqlalchemy", "sqlite3", "label_studio_sdk"}


def imports(path: Path) -> Iterator[str]:
    """The first part of every module that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield str(node.module).split(".")[0]


def files_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_imports_point_down(folder: str) -> None:
    assert files_of(folder), f"{folder}/ is empty"
    for path in files_of(folder):
        upward = (set(imports(path)) & set(MAY_IMPORT)) - MAY_IMPORT[folder] - {folder}
        assert not upward, f"{path.relative_to(ROOT)} imports {', '.join(sorted(upward))}"


@pytest.mark.parametrize("folder", ["selection", "propagation", "quality"])
def test_the_pure_folders_stay_pure(folder: str) -> None:
    for path in files_of(folder):
        impure = set(imports(path)) & NOT_PURE
        assert not impure, f"{path.relative_to(ROOT)} imports {', '.join(sorted(impure))}"


def test_only_flows_knows_prefect() -> None:
    for folder in MAY_IMPORT:
        for path in files_of(folder):
            assert folder == "flows" or "prefect" not in set(imports(path)), path.relative_to(ROOT)


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_every_folder_says_what_lives_there(folder: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))
    assert docstring
    if folder not in ("configs",):
        assert "import" in docstring, f"{folder}/__init__.py does not say what it may import"


def test_no_drawers() -> None:
    names = {path.stem for folder in MAY_IMPORT for path in files_of(folder)}
    assert not names & {"utils", "helpers", "manager", "core", "common"}


def test_no_file_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    machine = re.compile(r"(^|[\s\"'=(:])/(work|farm|root|home)/[a-z.]|https?://[^ ]*/(simple|packages)/")
    for name in listed:
        path = ROOT / name
        if path.suffix in (".py", ".md", ".txt", ".toml", ".yaml", ".yml", "") and path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                assert not machine.search(line), f"{name}:{number}: {line}"
