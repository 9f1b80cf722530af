"""Decoding: every presented frame once, in order, upright; whatever is not whole is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from connectors.container_check import declared_size, structure_break
from connectors.video_files import FOLDER_FPS, content_sha256, decode, probe, upright
from workspace.errors import UserError
from workspace.files import read_rgb

ROOT = Path(__file__).parents[2]
BITS = 6  # a frame shows its number in this many black or white columns
W, H = 64, 48


def numbered(index: int, width: int = W, height: int = H) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit in range(BITS):
        image[:, edges[bit] : edges[bit + 1]] = 235 if index >> bit & 1 else 20
    return image


def number_of(image: np.ndarray) -> int:
    edges = np.linspace(0, image.shape[1], BITS + 1).astype(int)
    middle = image[image.shape[0] // 2, (edges[:-1] + edges[1:]) // 2].mean(axis=1)
    return sum(1 << bit for bit in range(BITS) if middle[bit] > 128)


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    rate: int = 25,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: tuple[int, bool, bool] | None = None,
) -> Path:
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.gop_size = 12
        if rotation:
            stream.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = (i if pts is None else pts[i]), Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def noisy(count: int) -> list[np.ndarray]:
    """Frames that cost bytes, so that damage in the middle of the file hits picture data."""
    rng = np.random.default_rng(0)
    return [
        np.clip(numbered(i).astype(int) + rng.integers(-20, 20, (H, W, 3)), 0, 255).astype(np.uint8)
        for i in range(count)
    ]


def quiet(done: int, total: int | None) -> None:
    pass


def shown(path: Path, out: Path, frame_format: str = "png") -> list[np.ndarray]:
    video = decode(path, out, frame_format, 95, quiet)  # type: ignore[arg-type]
    files = sorted(out.iterdir())
    assert [f.name for f in files] == [f"{i:06d}.{frame_format}" for i in range(video.frames)]
    images = [read_rgb(f) for f in files]
    assert {i.shape for i in images} == {(video.height, video.width, 3)}
    return images


CONTAINERS = {
    "b-frames.mp4": {"options": {"bf": "3", "b-adapt": "0"}},
    "fragments.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "upper case.MOV": {},
    "b-frames.mkv": {"options": {"bf": "3", "b-adapt": "0"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "vp8-hidden-frames.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "10"}},
    "b-frames-without-pts.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "ten-bit.mkv": {"codec": "libx264", "pix_fmt": "yuv420p10le"},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_frame_comes_once_and_in_order(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, [numbered(i) for i in range(40)], **CONTAINERS[name])
    info, seen = probe(path), []
    out = tmp_path / "out"
    video = decode(path, out, "jpg", 95, lambda done, total: seen.append((done, total)))
    assert [number_of(read_rgb(out / f"{i:06d}.jpg")) for i in range(40)] == list(range(40))
    assert (video.frames, video.width, video.height, video.fps, video.suffix) == (40, W, H, 25.0, ".jpg")
    assert (info.width, info.height, info.fps) == (W, H, 25.0)
    assert [done for done, _ in seen] == list(range(1, 41))
    assert seen[-1][1] == 40
    assert video.sha256 == content_sha256(path)
    assert len(list(out.iterdir())) == 40


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rate_neither_repeats_nor_drops(tmp_path: Path, suffix: str) -> None:
    pts = [0, 1, 2, 3, 20, 21, 22, 90, 91, 250]
    path = write_video(tmp_path / f"vfr{suffix}", [numbered(i) for i in range(10)], pts=pts)
    assert [number_of(i) for i in shown(path, tmp_path / "out")] == list(range(10))
    assert decode(path, tmp_path / "again", "jpg", 90, quiet).fps == pytest.approx(9 / (250 / 25), rel=0.05)


def test_an_edit_list_hides_the_frames_that_no_player_shows(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "trimmed.mp4", [numbered(i) for i in range(20)], pts=range(-5, 15), options={"bf": "0"},
        container_options={"avoid_negative_ts": "disabled", "use_editlist": "1"},
    )  # fmt: skip
    assert b"elst" in path.read_bytes()
    assert [number_of(i) for i in shown(path, tmp_path / "out")] == list(range(5, 20))


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"), [("libx264", "yuv444p", ".mp4"), ("libvpx-vp9", "yuv420p", ".webm")]
)
def test_odd_sizes_are_kept(tmp_path: Path, codec: str, pix_fmt: str, suffix: str) -> None:
    path = write_video(tmp_path / f"odd{suffix}", [numbered(i, 53, 37) for i in range(5)], codec, pix_fmt)
    images = shown(path, tmp_path / "out")
    assert [number_of(i) for i in images] == list(range(5))
    assert images[0].shape == (37, 53, 3)


CORNERS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "white": (220, 220, 220)}
STORED = (("red", "green"), ("blue", "white"))  # top row, bottom row


def four_corners() -> np.ndarray:
    image = np.zeros((H, W, 3), np.uint8)
    for row in range(2):
        for column in range(2):
            part = np.s_[row * H // 2 : (row + 1) * H // 2, column * W // 2 : (column + 1) * W // 2]
            image[part] = CORNERS[STORED[row][column]]
    return image


def corner_names(image: np.ndarray) -> tuple[tuple[str, ...], ...]:
    h, w = image.shape[:2]
    return tuple(
        tuple(
            min(CORNERS, key=lambda n: np.abs(image[y, x].astype(int) - CORNERS[n]).sum())
            for x in (w // 4, 3 * w // 4)
        )
        for y in (h // 4, 3 * h // 4)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        ((0, False, False), STORED),
        ((-90, False, False), (("blue", "red"), ("white", "green"))),  # a quarter turn clockwise
        ((90, False, False), (("green", "white"), ("red", "blue"))),
        ((180, False, False), (("white", "blue"), ("green", "red"))),
        ((0, True, False), (("green", "red"), ("white", "blue"))),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_rotation_metadata_is_applied(
    tmp_path: Path, rotation: tuple[int, bool, bool], expected: tuple[tuple[str, ...], ...], suffix: str
) -> None:
    path = write_video(tmp_path / f"turned{suffix}", [four_corners()] * 3, rotation=rotation)
    info, images = probe(path), shown(path, tmp_path / "out")
    assert (info.height, info.width) == ((W, H) if abs(rotation[0]) == 90 else (H, W))
    assert [corner_names(i) for i in images] == [expected] * 3


TURNS = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(TURNS))
def test_upright_moves_each_pixel_where_the_matrix_says(height: int, width: int, m: tuple[int, int, int, int]) -> None:
    a, b, c, d = m
    rgb = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    out = upright(rgb, (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    points = [(a * p + c * q, b * p + d * q) for q in range(height) for p in range(width)]
    left, top = min(x for x, _ in points), min(y for _, y in points)
    for (x, y), color in zip(points, rgb.reshape(-1, 3), strict=True):
        assert out[y - top, x - left].tolist() == color.tolist()
    assert upright(rgb, None) is rgb


def test_a_second_stream_and_sound_do_not_disturb(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        video, sound = container.add_stream("libx264", rate=25), container.add_stream("aac", rate=44100)
        video.width, video.height, video.pix_fmt = W, H, "yuv420p"
        for i in range(20):
            container.mux(video.encode(av.VideoFrame.from_ndarray(numbered(i), format="rgb24")))
        for _ in range(60):
            container.mux(sound.encode(silence()))
        container.mux(video.encode())
        container.mux(sound.encode())
    assert [number_of(i) for i in shown(path, tmp_path / "out")] == list(range(20))


def silence() -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
    frame.sample_rate = 44100
    return frame


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=44100)
        for _ in range(10):
            container.mux(sound.encode(silence()))
        container.mux(sound.encode())


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def overwrite(path: Path, share: float, count: int) -> None:
    data = bytearray(path.read_bytes())
    start = int(len(data) * share)
    data[start : start + count] = bytes(count)
    path.write_bytes(bytes(data))


def refusal(path: Path, tmp_path: Path) -> UserError:
    """What `decode` says; and it must leave no file outside the folder that it was given."""
    before = sorted(p for p in tmp_path.rglob("*") if "out" not in p.parts)
    with pytest.raises(UserError) as caught:
        decode(path, tmp_path / "out", "jpg", 95, quiet)
    assert sorted(p for p in tmp_path.rglob("*") if "out" not in p.parts) == before
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


BAD = {
    "empty.mp4": (lambda p: p.write_bytes(b""), "is empty"),
    "text.mp4": (lambda p: p.write_text("hello\n" * 50), "cannot be read as a video"),
    "playlist.mp4": (lambda p: p.write_text("ffconcat version 1.0\nfile 'other.mp4'\n"), "cannot be read as a video"),
    "sound.mp4": (audio_only, "holds no video stream, only audio"),
    "notes.txt": (lambda p: p.write_text("hello"), "does not end in .mp4"),
    "no-index.mp4": (lambda p: (write_video(p, noisy(30)), cut(p, 0.6)), "cut off"),
    "absent.mp4": (lambda p: None, "There is no file or folder"),
    "folder.mp4": (lambda p: p.mkdir(), "holds no images"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_video_is_refused(tmp_path: Path, name: str) -> None:
    make, message = BAD[name]
    make(tmp_path / name)
    error = refusal(tmp_path / name, tmp_path)
    assert message in error.message
    assert name in error.message
    with pytest.raises(UserError):
        probe(tmp_path / name)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_a_video_without_frames_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"none{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        container.start_encoding()
    message = "holds no video stream" if suffix == ".mp4" else "not one frame"  # MP4 writes no track without frames
    assert message in refusal(path, tmp_path).message
    with pytest.raises(UserError, match=message):
        probe(path)


WHOLE = {
    "index-first.mp4": {"container_options": {"movflags": "faststart"}},
    "fragments.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "h264.mkv": {},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "mpeg4.avi": {"codec": "mpeg4"},
}


@pytest.mark.parametrize("share", [0.55, 0.9])
@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_off_in_the_middle_is_refused_and_says_where(tmp_path: Path, name: str, share: float) -> None:
    path = write_video(tmp_path / name, noisy(40), **WHOLE[name])
    assert declared_size(path) == path.stat().st_size or name.endswith(".mp4")
    whole = path.stat().st_size
    cut(path, share)
    message = refusal(path, tmp_path).message
    assert "breaks off after" in message
    assert int(message.split("breaks off after ")[1].split()[0]) < 40
    assert f"{whole - path.stat().st_size} byte(s) are missing" in message or name == "fragments.mp4"


@pytest.mark.parametrize("name", ["index-first.mp4", "vp9.webm", "mpeg4.avi"])
def test_damage_inside_is_an_error_and_not_a_guess(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, noisy(40), **WHOLE[name])
    overwrite(path, 0.55, 3000)
    message = refusal(path, tmp_path).message
    assert "is damaged after" in message
    assert 0 <= int(message.split("is damaged after ")[1].split()[0]) < 40


@pytest.mark.parametrize("count", [20, 300])
@pytest.mark.parametrize("share", [0.5, 0.55, 0.8])
def test_a_picture_that_the_decoder_would_patch_up_or_drop_is_an_error(
    tmp_path: Path, share: float, count: int
) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 60, (H, W, 3), dtype=np.uint8) for _ in range(40)]
    path = write_video(tmp_path / "mjpeg.avi", images, "mjpeg", "yuvj420p")
    overwrite(path, share, count)
    assert "is damaged after" in refusal(path, tmp_path).message


def test_a_cut_file_whose_container_states_no_length_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "open.mp4", noisy(40), **WHOLE["index-first.mp4"])
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") - 4
    data[at : at + 4] = bytes(4)  # "to the end of the file"
    path.write_bytes(bytes(data))
    assert len(shown(path, tmp_path / "whole")) == 40
    cut(path, 0.7)
    assert "is damaged after" in refusal(path, tmp_path).message


def test_a_hole_in_matroska_is_found_by_its_structure(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.webm", noisy(40), **WHOLE["vp9.webm"])
    assert structure_break(path) is None
    overwrite(path, 0.5, 3000)
    where = structure_break(path)
    assert where is not None
    assert abs(where - path.stat().st_size / 2) < 6000


def test_a_live_recording_without_lengths_is_taken_whole_and_refused_cut(tmp_path: Path) -> None:
    path = write_video(tmp_path / "live.mkv", noisy(40), container_options={"live": "1"})
    assert declared_size(path) is None
    assert structure_break(path) is None
    assert [number_of(i) for i in shown(path, tmp_path / "whole")] == list(range(40))
    cut(path, 0.7)
    assert "is damaged after" in refusal(path, tmp_path).message


def test_a_picture_that_changes_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sizes.mkv"
    parts = [
        write_video(tmp_path / f"{w}.mkv", [numbered(i, w) for i in range(5)], "mjpeg", "yuvj420p") for w in (64, 96)
    ]
    with av.open(str(path), "w") as out:
        stream = None
        for k, part in enumerate(parts):
            with av.open(str(part)) as source:
                if stream is None:
                    stream = out.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        packet.pts = packet.dts = packet.pts + 200 * k
                        out.mux(packet)
    assert "changes its size from 64x48 to 96x48 at frame 5" in refusal(path, tmp_path).message


def test_beat_may_end_the_work_and_nothing_is_written_afterwards(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [numbered(i) for i in range(40)])

    def stop(done: int, total: int | None) -> None:
        if done == 7:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        decode(path, tmp_path / "out", "jpg", 95, stop)
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) <= 7
    assert all(f.name == f"{i:06d}.jpg" for i, f in enumerate(files))


# The peak that the kernel keeps for a process begins with its parent's, so it is sampled in the child itself.
_PEAK = """
import psutil, sys, tempfile
from pathlib import Path
from connectors.video_files import decode
me, peak = psutil.Process(), 0
def beat(done, total):
    global peak
    peak = max(peak, me.memory_info().rss)
with tempfile.TemporaryDirectory() as d:
    decode(Path(sys.argv[1]), Path(d), "jpg", 95, beat)
print(peak)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_memory_does_not_grow_with_length(tmp_path: Path, suffix: str) -> None:
    peaks = []
    for count in (200, 1000):  # 800 more frames would be 184 MB
        images = [numbered(i % 64, 320, 240) for i in range(64)]
        path = tmp_path / f"{count}{suffix}"
        write_video(path, [images[i % 64] for i in range(count)], options={"preset": "ultrafast"})
        run = subprocess.run([sys.executable, "-c", _PEAK, path], cwd=ROOT, capture_output=True, text=True, check=True)
        peaks.append(int(run.stdout))
    assert peaks[1] - peaks[0] < 40_000_000


def save(path: Path, image: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)


def test_a_folder_is_played_by_its_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for i in (1, 2, 10, 3, 20):
        save(folder / f"img{i}.png", numbered(i))
    save(folder / ".hidden.png", numbered(0))
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "masks").mkdir()
    video = decode(folder, tmp_path / "out", "png", 95, quiet)
    assert [number_of(read_rgb(p)) for p in sorted((tmp_path / "out").iterdir())] == [1, 2, 3, 10, 20]
    assert (video.frames, video.width, video.height, video.fps) == (5, W, H, FOLDER_FPS)
    assert video.notes == ("the images are numbered 1 to 20 and 15 of these numbers are missing",)
    assert probe(folder).frames == 5
    # An image that already is what we want is kept as it is, to the byte.
    assert (tmp_path / "out" / "000003.png").read_bytes() == (folder / "img10.png").read_bytes()


def test_a_folder_without_numbers_is_played_by_name(tmp_path: Path) -> None:
    for i, name in enumerate(("alpha", "beta", "gamma")):
        save(tmp_path / "images" / f"{name}.jpg", numbered(i + 1), quality=95)
    video = decode(tmp_path / "images", tmp_path / "out", "jpg", 95, quiet)
    assert [number_of(read_rgb(p)) for p in sorted((tmp_path / "out").iterdir())] == [1, 2, 3]
    assert video.notes == ()


def test_images_of_every_kind_become_upright_rgb(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    grey16 = np.full((H, W), 200 << 8 | 7, np.uint16)
    save(folder / "0.png", grey16)
    save(folder / "1.png", np.full((H, W), 200, np.uint8))
    save(folder / "2.png", np.dstack([np.full((H, W, 3), 200, np.uint8), np.full((H, W), 30, np.uint8)]))
    palette = Image.fromarray(np.full((H, W), 3, np.uint8))
    palette.putpalette([0] * 9 + [200] * 3)
    palette.save(folder / "3.png", transparency=b"\x00\x10\x20\x30")
    save(folder / "4.bmp", np.full((H, W, 3), 200, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    sideways = np.full((W, H, 3), 200, np.uint8)
    sideways[-10:, :] = 20  # its bottom comes to lie at the left
    save(folder / "5.jpg", sideways, quality=98, exif=exif)
    images = shown(folder, tmp_path / "out")
    for image in images[:5]:
        assert np.abs(image.astype(int) - 200).max() == 0
    assert images[5][:, :8].max() < 60
    assert images[5][:, 14:].min() > 160
    jpegs = shown(folder, tmp_path / "jpegs", "jpg")
    assert jpegs[5].shape == (H, W, 3)


def test_mixed_sizes_name_both_files(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a1.png", numbered(0))
    save(tmp_path / "images" / "a2.png", numbered(0, 32, 20))
    error = refusal(tmp_path / "images", tmp_path)
    assert "a1.png is 64x48 but a2.png is 32x20" in error.message


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_damaged_image_is_refused(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    for i in range(3):
        save(tmp_path / "images" / f"{i}{suffix}", rng.integers(0, 255, (H, W, 3), dtype=np.uint8))
    cut(tmp_path / "images" / f"1{suffix}", 0.6)
    assert f"1{suffix} cannot be read as an image" in refusal(tmp_path / "images", tmp_path).message


def test_two_images_for_one_frame_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "images" / "1.png", numbered(0))
    save(tmp_path / "images" / "1.jpg", numbered(0))
    assert "holds both 1.jpg and 1.png" in refusal(tmp_path / "images", tmp_path).message


def test_the_hash_of_a_folder_covers_names_and_bytes(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / name / "1.png", numbered(1))
        save(tmp_path / name / "2.png", numbered(2 if name != "b" else 3))
    (tmp_path / "c" / "2.png").rename(tmp_path / "c" / "3.png")
    hashes = [content_sha256(tmp_path / name) for name in ("a", "b", "c")]
    assert len(set(hashes)) == 3
    (tmp_path / "a" / "notes.txt").write_text("not a frame")
    assert content_sha256(tmp_path / "a") == hashes[0]
