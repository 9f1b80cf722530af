"""The part of a frame that goes with a question, as data of a Label Studio task and back."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.labeling_tool import Question
from workspace.errors import UserError
from workspace.files import read_array
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Granularity, Sample

KEY = "fewclicks_key"
Box = tuple[int, int, int, int]  # y, x, height, width in pixels of the frame


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """What one question shows of its frame.

    `box`: the part of the frame that is shown; the whole of it for a frame, the sample and what lies around it else.
    `inside`: (box height, box width) bool, the pixels of that part that are asked about.
    `image`: the address of the picture on the server.
    """

    key: str
    video: str
    video_name: str
    round: int
    sample: Sample
    height: int
    width: int
    model: str
    box: Box
    inside: NDArray[np.bool_]
    image: str

    def cut(self, mask: MaskArray) -> MaskArray:
        """(height, width) of the frame to (box height, box width), 255 outside the sample."""
        y, x, h, w = self.box
        return np.where(self.inside, mask[y : y + h, x : x + w], np.uint8(UNKNOWN))

    def placed(self, part: MaskArray) -> MaskArray:
        """(box height, box width) back to (height, width); 255 outside the sample, whatever the part says there."""
        y, x, h, w = self.box
        mask = np.full((self.height, self.width), UNKNOWN, np.uint8)
        mask[y : y + h, x : x + w] = np.where(self.inside, part, np.uint8(UNKNOWN))
        return mask

    def filled(self, class_id: int) -> MaskArray:
        """(height, width) with one class on every pixel of the sample, 255 elsewhere."""
        return self.placed(np.full(self.inside.shape, class_id, np.uint8))

    def data(self) -> dict[str, Any]:
        """As JSON, for `excerpt_of_data`. A patch's pixels follow from its key; a superpixel's are written out."""
        data: dict[str, Any] = {
            "image": self.image,
            KEY: self.key,
            "video": self.video,
            "video_name": self.video_name,
            "round": self.round,
            "frame": self.sample.frame,
            "sample": self.sample.key,
            "height": self.height,
            "width": self.width,
            "model": self.model,
        }
        if self.sample.granularity is not Granularity.FRAME:
            data["box"] = "-".join(map(str, self.box))
        if self.sample.granularity is Granularity.SUPERPIXEL:
            data["inside"] = packed(self.inside.astype(np.uint8))
        return data


def excerpt_of(question: Question, box: Box, image: str, region: NDArray[np.bool_]) -> Excerpt:
    """`region`: (height, width) bool of the frame, the sample's pixels."""
    y, x, h, w = box
    return Excerpt(
        key=question.key,
        video=question.video,
        video_name=question.video_name,
        round=question.round,
        sample=question.sample,
        height=question.height,
        width=question.width,
        model=question.model,
        box=box,
        inside=region[y : y + h, x : x + w],
        image=image,
    )


def excerpt_of_data(data: Any) -> Excerpt:
    """An excerpt from what came back; ValueError says in words what somebody has changed in it."""
    if not isinstance(data, dict):
        raise ValueError("it has no data")
    height, width = data.get("height"), data.get("width")
    if not (isinstance(height, int) and isinstance(width, int) and min(height, width) >= 1):
        raise ValueError("it has lost its height and width")
    sample = Sample.parse(str(data.get("sample")))
    box: Box = (0, 0, height, width)
    if sample.granularity is not Granularity.FRAME:
        box = _box(data.get("box"), height, width)
    y, x, h, w = box
    if sample.superpixel is not None:
        inside = unpacked(data.get("inside"), h, w) == 1
    else:
        inside = np.zeros((h, w), bool)
        top, left, tall, wide = sample.box or (0, 0, height, width)
        inside[max(top - y, 0) : max(top + tall - y, 0), max(left - x, 0) : max(left + wide - x, 0)] = True
    return Excerpt(
        key=str(data.get(KEY)),
        video=str(data.get("video")),
        video_name=str(data.get("video_name")),
        round=int(data.get("round") or 0),
        sample=sample,
        height=height,
        width=width,
        model=str(data.get("model") or ""),
        box=box,
        inside=inside,
        image=str(data.get("image")),
    )


def sample_region(question: Question) -> NDArray[np.bool_]:
    """(height, width) bool, the pixels asked about. UserError if the superpixels are missing or of another size."""
    ids = None
    if question.sample.superpixel is not None:
        path = question.superpixels
        if path is None or not path.exists():
            raise UserError(f"The superpixels of {question.key} are missing ({path}).", "Restore the file from a copy.")
        ids = read_array(path)
        if ids.shape != (question.height, question.width):
            raise UserError(f"{path} is of {ids.shape} pixels, not ({question.height}, {question.width}).")
    region = question.sample.region(question.height, question.width, ids)
    if not region.any():
        raise ValueError(f"no pixel of a frame of {question.width}x{question.height} lies in {question.sample.key}")
    return region


def packed(part: MaskArray) -> str:
    """(H, W) uint8 as a short text."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(part, np.uint8).tobytes(), 9)).decode()


def unpacked(text: Any, height: int, width: int) -> MaskArray:
    """(height, width) uint8 from `packed`; ValueError for anything else. Never takes more memory than that."""
    try:
        unzip = zlib.decompressobj()
        data = unzip.decompress(base64.b64decode(text, validate=True), height * width + 1)
    except (TypeError, ValueError, binascii.Error, zlib.error):
        raise ValueError("its pixels cannot be read") from None
    if len(data) != height * width:
        raise ValueError(f"its pixels are not {width}x{height}")
    return np.frombuffer(data, np.uint8).reshape(height, width)


def _box(text: Any, height: int, width: int) -> Box:
    """Four numbers that lie inside the frame."""
    parts = str(text).split("-")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() and len(part) < 8 for part in parts):
        y, x, h, w = map(int, parts)
        if min(h, w) >= 1 and y + h <= height and x + w <= width:
            return y, x, h, w
    raise ValueError(f"the part of the frame that it shows, {text!r}, is not inside {width}x{height} pixels")
