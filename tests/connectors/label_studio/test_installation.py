from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from connectors.label_studio.installation import environment_folder, installed_binary, label_studio_binary
from workspace.errors import UserError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("LABEL_STUDIO_BIN", raising=False)
    monkeypatch.setenv("FEWCLICKS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path


def wheel(folder: Path, program: str) -> str:
    """A package without dependencies that brings one program."""
    info = "label_studio-1.23.2.dist-info"
    path = folder / "label_studio-1.23.2-py3-none-any.whl"
    files = {
        "label_studio_stand_in.py": "def main():\n    print('started')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: label-studio\nVersion: 1.23.2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{program} = label_studio_stand_in:main\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return str(path)


def test_the_named_program_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = home / "label-studio"
    program.write_text("")
    monkeypatch.setenv("LABEL_STUDIO_BIN", str(program))
    with pytest.raises(UserError, match=f"LABEL_STUDIO_BIN is {program}"):
        label_studio_binary()
    program.chmod(0o700)
    assert label_studio_binary() == program


@pytest.mark.slow
def test_it_is_installed_once_and_a_half_made_one_is_made_again(home: Path) -> None:
    said: list[str] = []
    folder = environment_folder()
    assert folder == home / "home" / "label-studio-1.23.2"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "label-studio").write_text("left over from an interrupted installation")
    assert installed_binary() is None
    binary = label_studio_binary(said.append, wheel(home, "label-studio"))
    assert binary == folder / "bin" / "label-studio"
    assert "left over" not in binary.read_text()
    assert len(said) == 2
    assert label_studio_binary(said.append, "never looked at") == binary
    assert len(said) == 2


@pytest.mark.slow
def test_a_failed_installation_says_why_and_is_not_taken_for_one(home: Path) -> None:
    with pytest.raises(UserError, match=r"could not be installed: .*no-such-package.*LABEL_STUDIO_BIN"):
        label_studio_binary(requirement="no-such-package-anywhere")
    assert installed_binary() is None
