"""Every command in the README and docs/ is real: it parses, and the quick ones are run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import typer.main
import yaml

from connectors.h264_file import h264_file
from fewclicks.app import app
from workspace.config import parse_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
THIS_CODE = os.environ | {"PYTHONPATH": str(ROOT)}  # whatever checkout is installed
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:fewclicks|python -m benchmarks|make) [^`]+)`")
# what stands for a value in prose
PLACES = {
    "DIR": "street",
    "FOLDER": "footage",
    "VIDEO": "clip.mp4",
    "VIDEO...": "clip.mp4",
    "FILE": "out.json",
    "ID": "clip",
}


def commands(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    lines = [line.split("  #")[0].strip() for block in BLOCK.findall(text) for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")] + INLINE.findall(text)


ALL = [(page.name, line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), ALL)
def test_every_command_parses(page: str, line: str) -> None:
    words = [PLACES.get(word, word) for word in shlex.split(line, comments=True)]
    while words and "=" in words[0] and not words[0].startswith("-"):
        words = words[1:]  # VARIABLE=value in front
    program, *arguments = words
    if program == "fewclicks":
        group = typer.main.get_command(app)
        if arguments and not arguments[0].startswith("-"):
            command = group.commands[arguments[0]]
            needed = [p.name for p in command.params if p.required and p.param_type_name == "argument"]
            if len(arguments) > 1 or not needed:
                command.make_context(arguments[0], arguments[1:])
    elif program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[:2] == ["python", "-m"]:
        assert (ROOT / Path(words[2].replace(".", "/")).with_suffix(".py")).exists()
        done = subprocess.run(
            [sys.executable, "-m", words[2], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        for option in (word for word in words if word.startswith("--")):
            assert option in done.stdout, option
    else:
        assert program in ("pip", "prefect", "export", "apt-get", "docker", "pip-audit"), line  # other people's


def test_the_readme_leads_to_a_project_with_a_video(tmp_path: Path) -> None:
    """The quick lines of the README and of the backup, as they stand there; serve and run have tests of their own."""
    with h264_file(tmp_path / "clip.mp4", 10.0, 20) as write:
        for level in range(5):
            write(np.full((48, 64, 3), 50 * level, np.uint8))
    quick = [line for _, line in ALL if re.match(r"fewclicks (init|add|status|backup|restore) street", line)]
    assert len(quick) >= 3
    for line in dict.fromkeys(quick):
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(line)],
            cwd=tmp_path,
            env=THIS_CODE,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert (
        "5 frames of 64x48"
        in subprocess.run(
            [sys.executable, "-m", "fewclicks", "add", "street", "clip.mp4"],
            cwd=tmp_path,
            env=THIS_CODE,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )


def test_every_setting_that_is_named_exists() -> None:
    default = yaml.safe_load((ROOT / "configs" / "default.yaml").read_text(encoding="utf-8"))
    parse_config(default, "configs/default.yaml")
    for page in PAGES:
        for section, key in re.findall(
            r"`([a-z_]+)\.(?!(?:yaml|json|jsonl|xml|txt)`)([a-z_]+)[`:]", page.read_text(encoding="utf-8")
        ):
            assert key in default.get(section, {}), f"{page.name}: {section}.{key}"


def test_every_strategy_and_segmenter_is_named_in_the_docs() -> None:
    from propagation.segmenters import SEGMENTERS
    from selection.strategies import STRATEGIES

    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    missing = [name for name in (*STRATEGIES, *SEGMENTERS) if name not in text]
    assert not missing


def test_the_reference_of_the_settings_is_what_the_code_says() -> None:
    from fewclicks.settings_reference import settings_reference

    text = settings_reference()
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == text, "fewclicks settings > docs/settings.md"
    default = yaml.safe_load((ROOT / "configs" / "default.yaml").read_text(encoding="utf-8"))
    keys = [f"{section}.{key}" for section, values in default.items() for key in values]
    assert re.findall(r"^\| `([a-z_.]+)` \|", text, re.MULTILINE) == keys
    assert "| `labeling.overlap` | whole number, 1 to 5 | `1` |" in text
    assert "| `propagation.probability_stride` | `1`, `2`, `4`, `8` | `4` |" in text


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


class _Loaded(HTMLParser):
    """What a browser fetches for a page by itself; a link that somebody may follow is not among it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [values[name] or "" for name in ("src", "srcset", "data", "poster") if name in values]
        if tag == "link":
            self.addresses.append(values.get("href") or "")


def test_the_site_is_built_without_warning_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    listed = re.findall(r"^ +- (\S+\.md)$", (tmp_path / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in (ROOT / "docs").glob("*.md")), "mkdocs.yml: nav"
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    build = [str(Path(sys.executable).with_name("zensical")), "build", "--clean", "--strict"]

    def built() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            build, cwd=tmp_path, env=os.environ | nowhere, capture_output=True, text=True, check=False
        )

    done = built()
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "out" / "site"
    pages = sorted(site.glob("*.html"))
    assert {page.stem for page in pages} >= {page.stem for page in (ROOT / "docs").glob("*.md")}
    for page in pages:
        parser = _Loaded()
        parser.feed(page.read_text(encoding="utf-8"))
        assert len(parser.addresses) >= 3
        assert not [one for one in parser.addresses if re.match(r"(\w+:)?//", one)], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(\w+:)?//", style.read_text(encoding="utf-8")), style.name
    (tmp_path / "docs" / "faq.md").write_text("[nowhere](nothing.md)", encoding="utf-8")
    broken = built()
    assert broken.returncode != 0
    assert "nothing.md" in re.sub(r"\x1b\[[0-9;]*m", "", broken.stdout + broken.stderr)


def test_every_assist_backend_is_named_in_the_docs() -> None:
    from assist.backends.registry import BACKENDS

    text = (ROOT / "docs" / "assist.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(BACKENDS)


def test_every_export_format_is_in_the_docs() -> None:
    from flows.exporting import FORMATS

    text = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)`", text, re.MULTILINE) == list(FORMATS)


def test_the_changelog_names_the_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
