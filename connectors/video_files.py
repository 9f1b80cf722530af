"""From a video file or a folder of images to one image file per frame, frame-exact and in constant memory.

Exact means: every frame that the container presents (its edit list applied) comes out once, in presentation order and
upright, whatever its time stamps are. Nothing is repeated or dropped to reach a steady rate. A file that cannot be
decoded to its end is refused as a whole: a video that lacks frames would shift every label behind the gap.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from connectors.container_check import declared_size, structure_break
from connectors.image_folder import list_images, numbering_gap, read_upright
from workspace.errors import UserError
from workspace.files import write_bytes, write_image

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm")
FOLDER_FPS = 25.0  # images carry no time; this is for playing them only
ENCODERS = 2
PENDING = 2 * ENCODERS  # frames held in memory while their files are written

Beat = Callable[[int, int | None], None]

# Playlists and image patterns are "videos" too for FFmpeg and could make it open other files or addresses.
_OPEN = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi", "protocol_whitelist": "file"}
_AGAIN = "Export it anew from its source or re-encode it in a video editor, then add that file."


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What can be said before decoding.

    `width` and `height` are those of the upright picture, in stored pixels (a sample aspect ratio is not applied).
    `frames` is what the container claims (exact for a folder); None if it says nothing.
    """

    width: int
    height: int
    fps: float
    frames: int | None
    codec: str


@dataclass(frozen=True, slots=True)
class DecodedVideo:
    """What `decode` wrote: files 000000`suffix` to `frames` - 1.

    `fps` is the mean rate; `notes` are sentences for the user about what was unusual but right.
    """

    sha256: str
    frames: int
    width: int
    height: int
    fps: float
    suffix: str
    notes: tuple[str, ...] = field(default=())


def probe(path: Path) -> VideoInfo:
    """Look at a video and decode its first frame only; raises the UserErrors of `decode` that show so early."""
    _check_exists(path)
    if path.is_dir():
        images = list_images(path)
        height, width = read_upright(images[0])[0].shape[:2]
        return VideoInfo(width, height, FOLDER_FPS, len(images), "images")
    with _opened(path) as (container, stream):
        for first in _decoded(path, container, stream):
            height, width = first.rgb.shape[:2]
            fps = _rate(stream, 1, 0.0)
            return VideoInfo(width, height, fps, _claimed_frames(container, stream), stream.codec_context.name)
    raise _no_frame(path)


def content_sha256(path: Path) -> str:
    """64 hex digits over a file's bytes; for a folder over the names and bytes of its images in playing order."""
    _check_exists(path)
    digest = hashlib.sha256()
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    for image in list_images(path):
        for part in (image.name.encode("utf-8", "surrogateescape"), image.read_bytes()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def decode(path: Path, frames_dir: Path, frame_format: Literal["jpg", "png"], quality: int, beat: Beat) -> DecodedVideo:
    """Write every frame of a video file or image folder as an upright RGB image into `frames_dir`.

    quality: of JPEG, 50 to 100;  beat: called after each frame with (done, total or None); what it raises ends all.
    An image of a folder that already is what would be written (8-bit RGB, upright, same format) is copied as it is.
    Raises UserError for whatever cannot be decoded completely; the files written so far are the caller's to remove.
    """
    sha256 = content_sha256(path)
    frames_dir.mkdir(parents=True, exist_ok=True)
    writer = _write_images if path.is_dir() else _write_video
    return writer(path, frames_dir, f".{frame_format}", quality, beat, sha256)


def _write_images(path: Path, frames_dir: Path, suffix: str, quality: int, beat: Beat, sha256: str) -> DecodedVideo:
    images = list_images(path)
    gap = numbering_gap(images)
    same = (".jpg", ".jpeg") if suffix == ".jpg" else (suffix,)
    size: tuple[int, int] | None = None
    for index, image in enumerate(images):
        rgb, plain = read_upright(image)
        height, width = rgb.shape[:2]
        if size is None:
            size = (width, height)
        elif size != (width, height):
            raise UserError(
                f"{images[0].name} is {size[0]}x{size[1]} but {image.name} is {width}x{height} in {path}.",
                "All frames of a video must have one size; put images of different sizes into different folders.",
            )
        target = frames_dir / f"{index:06d}{suffix}"
        if plain and image.suffix.lower() in same:
            write_bytes(target, image.read_bytes())
        else:
            write_image(target, rgb, quality)
        beat(index + 1, len(images))
    assert size is not None
    return DecodedVideo(sha256, len(images), *size, FOLDER_FPS, suffix, (gap,) if gap else ())


def _write_video(path: Path, frames_dir: Path, suffix: str, quality: int, beat: Beat, sha256: str) -> DecodedVideo:
    size: tuple[int, int] | None = None
    done = 0
    first_s = last_s = math.nan
    with _opened(path) as (container, stream), _Files(quality) as files:
        claimed = _claimed_frames(container, stream)
        for frame in _decoded(path, container, stream):
            height, width = frame.rgb.shape[:2]
            if size is None:
                size, first_s = (width, height), frame.at_s
            elif size != (width, height):
                raise UserError(
                    f"{path} changes its size from {size[0]}x{size[1]} to {width}x{height} at frame {done}.", _AGAIN
                )
            last_s = frame.at_s
            files.write(frames_dir / f"{done:06d}{suffix}", frame.rgb)
            done += 1
            beat(done, None if claimed is None else max(claimed, done))
        fps = _rate(stream, done, last_s - first_s)
    if size is None:
        raise _no_frame(path)
    return DecodedVideo(sha256, done, *size, fps, suffix)


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    rgb: NDArray[np.uint8]
    at_s: float  # NaN where the container gives no time


def _decoded(path: Path, container: Any, stream: Any) -> Iterator[_Decoded]:
    """The frames in presentation order; UserError that names the last whole frame where the file breaks."""
    reformatter = VideoReformatter()
    missing = _missing_bytes(path)
    hole = None if missing else structure_break(path)
    done = 0
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt or (hole is not None and (packet.pos or 0) >= hole):
                raise _broken(path, done, missing)
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise _broken(path, done, missing)
                rgb = reformatter.reformat(frame, format="rgb24").to_ndarray()
                yield _Decoded(
                    upright(np.asarray(rgb, dtype=np.uint8), _display_matrix(frame)),
                    math.nan if frame.time is None else frame.time,
                )
                done += 1
    except av.FFmpegError as error:
        raise _broken(path, done, missing, str(error.strerror)) from None
    if missing or hole is not None:
        raise _broken(path, done, missing)


def upright(rgb: NDArray[np.uint8], matrix: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """Turn and mirror a stored picture as its display matrix says, in steps of 90 degrees.

    rgb: (H, W, 3);  matrix: 9 numbers (a b u c d v x y w), by which the stored point (p, q), x right and y down, is
    shown at (a p + c q, b p + d q); None for none.  returns: (H, W, 3) or (W, H, 3).  Other angles: the nearest.
    ISO/IEC 14496-12, 8.2.2.
    """
    if matrix is None:
        return rgb
    a, b, _, c, d = matrix[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        flip_x, flip_y = a < 0, d < 0
    else:
        rgb = rgb.transpose(1, 0, 2)
        flip_x, flip_y = c < 0, b < 0
    return np.ascontiguousarray(rgb[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def _display_matrix(frame: Any) -> tuple[int, ...] | None:
    for item in frame.side_data:
        if item.type == SideDataType.DISPLAYMATRIX:
            return tuple(int(v) for v in np.frombuffer(bytes(item), dtype=np.int32)[:9])
    return None


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream; UserError if FFmpeg finds none in this file."""
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise UserError(
            f"{path} does not end in {', '.join(VIDEO_SUFFIXES)}.", "Give a video file, or a folder of numbered images."
        )
    if not path.is_file():
        raise UserError(f"{path} is neither a file nor a folder.")
    try:
        size = path.stat().st_size
        if size == 0:
            raise UserError(f"{path} is empty.", "Copy it again from its source.")
        container = av.open(f"file:{path}", options=_OPEN)
    except PermissionError:
        raise UserError(f"{path} may not be read.", "Give yourself permission to read it.") from None
    except (av.FFmpegError, OSError) as error:
        missing = _missing_bytes(path)
        if missing:
            raise UserError(f"{path} is cut off: {missing} byte(s) are missing at its end.", "Copy it again.") from None
        if isinstance(error, av.EOFError):
            raise _no_frame(path) from None
        raise UserError(
            f"{path} cannot be read as a video: {error.strerror}.",
            "It is damaged, cut off before its index, or no video at all; see whether a video player opens it.",
        ) from None
    with container:
        pictures = av.stream.Disposition.attached_pic
        streams = [s for s in container.streams.video if not s.disposition & pictures]
        if not streams:
            kinds = ", ".join(sorted({s.type for s in container.streams}))
            raise UserError(f"{path} holds no video stream{', only ' + kinds if kinds else ''}.", "Give another file.")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        if stream.codec_context is None:
            raise UserError(f"{path} holds video in a format that cannot be decoded here.", _AGAIN)
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"err_detect": "explode"}  # damaged pictures are errors, not guesses
        yield container, stream


class _Files:
    """Encodes and writes images in the background, at most PENDING at a time, so that memory stays bounded."""

    def __init__(self, quality: int) -> None:
        self._quality = quality
        self._pool = ThreadPoolExecutor(ENCODERS)
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> _Files:
        return self

    def write(self, path: Path, rgb: NDArray[np.uint8]) -> None:
        if len(self._pending) >= PENDING:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(write_image, path, rgb, self._quality))

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            while kind is None and self._pending:
                self._pending.popleft().result()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)  # the caller removes the folder next: nothing may write


def _claimed_frames(container: Any, stream: Any) -> int | None:
    if stream.frames:
        return int(stream.frames)
    if container.duration and stream.average_rate:
        return max(1, round(float(container.duration * stream.average_rate / av.time_base)))
    return None


def _rate(stream: Any, frames: int, span_s: float) -> float:
    """Frames per second: the container's figure if the time stamps agree within 1 %, else the mean they give."""
    stated = float(stream.average_rate or stream.guessed_rate or 0)
    measured = (frames - 1) / span_s if frames > 1 and span_s > 0 else 0.0
    if stated > 0 and (measured == 0 or abs(measured - stated) <= 0.01 * stated):
        return stated
    return measured or FOLDER_FPS


def _missing_bytes(path: Path) -> int:
    declared = declared_size(path)
    return 0 if declared is None else max(0, declared - path.stat().st_size)


def _check_exists(path: Path) -> None:
    try:
        path.stat()
    except FileNotFoundError:
        raise UserError(f"There is no file or folder {path}.", "Check the name; relative paths start here.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path!s} cannot be read: {error}.") from None


def _broken(path: Path, done: int, missing: int, why: str = "") -> UserError:
    after = f"after {done} whole frame(s)"
    if missing:
        return UserError(
            f"{path} breaks off {after}: {missing} byte(s) are missing at its end.", "Copy it again. " + _AGAIN
        )
    return UserError(f"{path} is damaged {after}{': ' + why if why else ''}.", _AGAIN)


def _no_frame(path: Path) -> UserError:
    return UserError(f"{path} holds not one frame that can be decoded.", _AGAIN)
