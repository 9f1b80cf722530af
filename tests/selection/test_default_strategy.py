"""What the product chooses by itself must exist, and be what the settings say."""

from __future__ import annotations

import pytest

from selection.strategies import STRATEGIES, default_strategy
from workspace.config import SelectionConfig


@pytest.mark.parametrize("granularity", ["frame", "patch:32", "superpixel", "mixed"])
def test_the_default_is_registered(granularity: str) -> None:
    assert default_strategy(granularity) in STRATEGIES


def test_the_settings_agree_with_it() -> None:
    settings = SelectionConfig()
    assert settings.strategy == default_strategy(settings.granularity)
