"""The wheel and the sdist hold the program, its settings and its licence, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [
    "assist", "benchmarks", "configs", "connectors", "dashboard", "fewclicks", "flows", "propagation", "quality",
    "selection", "workspace",
]  # fmt: skip


@pytest.mark.slow
def test_wheel_and_sdist_are_built_and_complete(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    program = "from setuptools import build_meta; build_meta.build_sdist('../dist'); build_meta.build_wheel('../dist')"
    (tmp_path / "dist").mkdir()
    done = subprocess.run([sys.executable, "-c", program], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (tmp_path / "dist").glob("fewclicks-*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        entry = file.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "fewclicks = fewclicks.__main__:main" in entry
    expected = {str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    data = [
        path
        for name in ("configs/*.yaml", "configs/*.json", "dashboard/pages/*", "dashboard/static/*")
        for path in ROOT.glob(name)
    ]
    assert len(data) >= 12
    assert expected | {str(path.relative_to(ROOT)) for path in data} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == set(PACKAGES)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    _runs_from_a_wheel(wheel, tmp_path)
    (sdist,) = (tmp_path / "dist").glob("fewclicks-*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert expected | {"pyproject.toml", "configs/default.yaml", "LICENSE", "README.md"} <= inside


def _runs_from_a_wheel(wheel: Path, folder: Path) -> None:
    """Installed by pip, away from the sources: the program starts and finds its settings, pages and licence."""
    target = folder / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*install, "--target", str(target), str(wheel)], check=True, capture_output=True)
    environment = os.environ | {"PYTHONPATH": str(target)}
    program = target / "bin" / "fewclicks"

    def told(*words: str) -> str:
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = told(sys.executable, "-c", "import fewclicks, dashboard; print(fewclicks.__file__, dashboard.__file__)")
    assert where.count(str(target)) == 2
    assert told(sys.executable, str(program), "--version").startswith("fewclicks 0.")
    told(sys.executable, str(program), "init", "street", "--class", "road")  # from configs/default.yaml
    assert "0 videos" in told(sys.executable, str(program), "status", "street")
    pages = "from dashboard.templates import templates; print(templates().get_template('overview.html').name)"
    assert told(sys.executable, "-c", pages) == "overview.html\n"


def test_extras_are_named_and_in_the_docs() -> None:
    """Each extra is small: what most people do not need, and dev holds all of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    ours = set(extras) - {"dev", "peers"}
    assert {"docs", "postgres", "s3", "sam"} <= ours
    assert all(len(extras[name]) <= 3 for name in ours)
    (everything,) = [one for one in extras["dev"] if one.startswith("fewclicks[")]
    assert everything == f"fewclicks[{','.join(sorted(ours))}]"
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    for name in ours:
        assert f'[{name}]"' in text, name  # pip install ".[s3]"
