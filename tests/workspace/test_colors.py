from __future__ import annotations

import numpy as np
import pytest

from workspace.colors import class_colors, hex_color
from workspace.config import ClassConfig


def classes(*colors: str | None) -> list[ClassConfig]:
    return [ClassConfig(name=f"c{k}", color=color) for k, color in enumerate(colors)]


def test_configured_colours_are_taken_as_they_are() -> None:
    colors = class_colors(classes("#010203", None, "#fFfE00"))
    assert colors.dtype == np.uint8
    assert colors[[0, 2]].tolist() == [[1, 2, 3], [255, 254, 0]]
    assert [hex_color(c) for c in colors[[0, 2]]] == ["#010203", "#fffe00"]


@pytest.mark.parametrize("count", [1, 2, 11, 97, 98, 150, 254])
def test_chosen_colours_are_distinct_and_never_black(count: int) -> None:
    colors = class_colors(classes(*[None] * count))
    assert len(np.unique(np.vstack([colors, [[0, 0, 0]]]), axis=0)) == count + 1


def test_a_chosen_colour_keeps_away_from_a_configured_one() -> None:
    first = hex_color(class_colors(classes(None))[0])
    fixed, chosen = class_colors(classes(first, None))
    assert np.abs(fixed.astype(int) - chosen.astype(int)).max() >= 64


def test_a_class_added_at_the_end_leaves_the_others_as_they_were() -> None:
    few, more = class_colors(classes(*[None] * 11)), class_colors(classes(*[None] * 12))
    np.testing.assert_array_equal(few, more[:11])


def test_no_classes_no_colours() -> None:
    assert class_colors([]).shape == (0, 3)
