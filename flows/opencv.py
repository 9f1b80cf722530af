"""Is OpenCV whole? Several packages unpack into the same folder, and the last one installed wins."""

from __future__ import annotations

import cv2

from workspace.errors import UserError

REPAIR = "pip install --force-reinstall --no-deps opencv-contrib-python-headless==4.12.0.88"


def has_contrib() -> bool:
    """Looked up by name: a leftover stub folder makes `cv2.ximgproc` exist even when its functions are gone."""
    return hasattr(cv2, "ximgproc") and hasattr(cv2.ximgproc, "createSuperpixelSLIC")


def require_contrib() -> None:
    """UserError with the repair if another OpenCV package has overwritten the one with the contrib modules."""
    if not has_contrib():
        raise UserError(f"OpenCV {cv2.__version__} is here without its contrib modules.", f"Repair it: {REPAIR}")
