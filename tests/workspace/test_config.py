"""Settings: typed, frozen, complete in configs/default.yaml, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from workspace.config import Config, load_config, parse_config
from workspace.errors import UserError

DEFAULT = Path(__file__).parents[2] / "configs" / "default.yaml"


def test_the_file_with_all_keys_is_equal_to_the_code() -> None:
    written = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    coded = Config.model_validate({"project": {"classes": ["background", "object"]}})
    assert load_config(DEFAULT) == coded
    assert set(written) == set(Config.model_fields)
    for section, values in written.items():
        assert set(values) == set(type(getattr(coded, section)).model_fields), section


def test_every_key_is_commented() -> None:
    section = ""
    for line in DEFAULT.read_text(encoding="utf-8").splitlines():
        key = line.strip().split(":")[0]
        if line.startswith("  ") and not line.strip().startswith("-"):
            assert " # " in line, f"{section}.{key} has no comment"
        elif line and not line.startswith(("#", " ")):
            section = key


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"project": {"classes": ["a"]}, "selection": {"buget": 3}}, r"1 wrong value.*selection\.buget: Extra inputs"),
        (
            {"project": {"classes": ["a"]}, "selection": {"budget": 0}},
            r"selection\.budget: .*greater than 0 \(it is 0\)",
        ),
        ({"project": {"classes": ["a", "a"]}}, "class 'a' is named twice"),
        ({"project": {"classes": []}}, "0 classes: give 1 to 254"),
        ({"project": {"classes": [f"c{i}" for i in range(255)]}}, "255 classes"),
        ({"project": {"classes": ["a"], "background": "b"}}, "background 'b' is not one of the classes"),
        ({"project": {"classes": [{"name": "a", "color": "red"}]}}, r"color: String should match"),
        ({}, "project: Field required"),
        ([], "holds no settings"),
        (None, "holds no settings"),
    ],
)
def test_mistakes_are_named_with_their_value(values: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_config(values, "fewclicks.yaml")


def test_settings_are_frozen() -> None:
    config = parse_config({"project": {"classes": ["a"]}}, "x")
    with pytest.raises(ValidationError, match="frozen"):
        config.selection.budget = 7


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no project at"):
        load_config(tmp_path / "fewclicks.yaml")
    (tmp_path / "fewclicks.yaml").write_text("project: [", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read"):
        load_config(tmp_path / "fewclicks.yaml")
    (tmp_path / "fewclicks.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match="cannot be read"):
        load_config(tmp_path / "fewclicks.yaml")
