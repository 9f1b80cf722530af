"""What comes from outside is never run: no pickle, no shell, no archive unpacked unchecked."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from propagation.segmenters import features
from workspace.config import SegmenterConfig
from workspace.errors import UserError
from workspace.files import read_array

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "workspace",
    "selection",
    "propagation",
    "quality",
    "connectors",
    "flows",
    "assist",
    "dashboard",
    "fewclicks",
    "benchmarks",
)
UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle", "tarfile"}
# call -> the argument without which it may run what it reads
MUST_SAY = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "np.save": ("allow_pickle", False),
    "get_state_dict": ("weights_only", True),
}
NEVER = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen", "numpy.load"}
NEVER |= {"torch.jit.load", "torch.hub.load", "torch.package.PackageImporter", "shutil.unpack_archive"}
NEVER_METHODS = {"extractall"}


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def complaints(source: str) -> list[str]:
    """What is unsafe in a Python file."""
    found = []
    for name, call in calls(source):
        said = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
        name = "get_state_dict" if name.endswith(".get_state_dict") else name  # torchvision's download
        if name in MUST_SAY and said.get(MUST_SAY[name][0], "missing") is not MUST_SAY[name][1]:
            found.append(f"{name} without {MUST_SAY[name][0]}={MUST_SAY[name][1]}")
        if name in NEVER or name.rsplit(".", 1)[-1] in NEVER_METHODS:
            found.append(name)
        if said.get("shell") is True or said.get("verify", True) is False:
            found.append(f"{name} with shell=True or verify=False")
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        found += [f"imports {name}" for name in names if name.split(".")[0] in UNSAFE_MODULES]
        if isinstance(node, ast.ImportFrom) and node.module in ("torch", "numpy"):
            found += [f"hides {alias.name}" for alias in node.names if alias.name in ("load", "save")]
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_that_is_read_is_run(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        assert not complaints(path.read_text(encoding="utf-8")), path.relative_to(ROOT)


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "known[w].get_state_dict(progress=False)",
        "import pickle",
        "from joblib import load",
        "from torch import load",
        "yaml.load(t)",
        "z.extractall(d)",
        "subprocess.run(w, shell=True)",
        "httpx.get(u, verify=False)",
        "eval(t)",
    ],
)
def test_the_rule_sees_what_it_forbids(source: str) -> None:
    assert complaints(source)


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


def test_pickles_in_arrays_and_models_do_not_go_off(tmp_path: Path) -> None:
    mark = tmp_path / "gone-off"
    np.save(tmp_path / "a.npy", np.array([Bomb(mark)], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_array(tmp_path / "a.npy")
    torch.save({"weight": Bomb(mark)}, tmp_path / "w.pth")
    (tmp_path / "x.pth").write_bytes(pickle.dumps(Bomb(mark)))
    for name in ("w.pth", "x.pth"):
        with pytest.raises(UserError):
            features(SegmenterConfig(name="mobilenet_v2", weights=str(tmp_path / name)), torch.device("cpu"), 0)
    assert not mark.exists()


def test_the_versions_that_are_written_down_are_those_installed() -> None:
    rows = re.findall(r"^\| ([a-z-]+) \| ([0-9.]+) \|", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
    pinned = (ROOT / "constraints.txt").read_text().split()
    assert len(rows) == 10
    assert all(f"{name}=={version}" in pinned for name, version in rows)
