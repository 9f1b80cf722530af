"""The guard against an OpenCV that another package has overwritten."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import pytest

from flows.checkup import Health, checkup
from flows.opencv import require_contrib
from workspace.errors import UserError


def test_this_installation_is_whole() -> None:
    require_contrib()


def test_a_stub_without_its_functions_is_told_with_the_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "ximgproc", SimpleNamespace())  # what pip leaves behind
    with pytest.raises(UserError, match=r"without its contrib modules.*pip install --force-reinstall --no-deps"):
        require_contrib()
    (finding,) = (finding for finding in checkup(None) if finding.what == "OpenCV")
    assert finding.health is Health.BAD
    assert "--force-reinstall" in finding.remedy
