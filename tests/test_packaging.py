"""The wheel and the sdist hold the program, its settings and its licence, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
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
    (sdist,) = (tmp_path / "dist").glob("fewclicks-*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert expected | {"pyproject.toml", "configs/default.yaml", "LICENSE", "README.md"} <= inside
