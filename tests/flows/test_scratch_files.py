"""What one pass leaves for the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flows.frame_files import ScratchFiles


def test_an_array_comes_back_until_the_folder_is_cleared(tmp_path: Path) -> None:
    scratch = ScratchFiles(tmp_path / "scratch" / "a")
    scratch.put("later-000001", np.arange(3))
    assert scratch.get("later-000001").tolist() == [0, 1, 2]
    scratch.clear()
    assert not (tmp_path / "scratch" / "a").exists()


def test_who_was_frozen_until_others_tidied_up_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch = ScratchFiles(tmp_path / "scratch" / "a")
    scratch.clear()
    with pytest.raises(FileNotFoundError):
        scratch.put("later-000001", np.arange(3))
    assert not (tmp_path / "scratch" / "a").exists()
