"""An archive is whole or refused; nothing that its maker wrote into it gets out of its folder."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workspace.archive import ABOUT, open_archive, write_archive
from workspace.errors import UserError

FILES = {"fewclicks.db": b"facts" * 300, "videos/clip/frames/000000.jpg": bytes(range(256))}


def silent(fraction: float) -> None:
    assert 0 <= fraction <= 1


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("archive")
    members = {}
    for name, data in FILES.items():
        members[name] = folder / name.replace("/", "-")
        members[name].write_bytes(data)
    write_archive(folder / "a.zip", {"format": 1}, members, silent)
    assert stat.S_IMODE((folder / "a.zip").stat().st_mode) == 0o600
    return (folder / "a.zip").read_bytes()


def seal(fill: Callable[[zipfile.ZipFile], None]) -> bytes:
    """What somebody who knows the format can make."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = b"sha256:" + b"0" * 64
        fill(archive)
    data = file.getvalue()[:-64]
    return data + hashlib.sha256(data).hexdigest().encode()


def test_what_goes_in_comes_out(sealed: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(sealed)
    with open_archive(tmp_path / "a.zip") as archive:
        assert archive.about == {"format": 1}
        assert archive.sizes == {name: len(data) for name, data in FILES.items()}
        archive.extract(tmp_path / "out", silent)
    out = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("*.*")}
    assert out == FILES
    assert zipfile.ZipFile(io.BytesIO(sealed)).testzip() is None  # any unzip can read it


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_cut_and_every_flipped_bit_is_refused(
    sealed: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.zip"
    place = data.draw(st.integers(0, len(sealed) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(sealed[:place])
    else:
        broken = bytearray(sealed)
        broken[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(broken)
    with pytest.raises(UserError, match=r"damaged|its end is missing"), open_archive(path):
        pytest.fail("it was believed")


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/passwd",
        "videos/../../outside",
        "videos//x",
        "videos/.hidden",
        ".label-studio/credentials.json",
        "C:\\x",
        "a\\..\\b",
        "-rf",
        "videos/",
    ],
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr(ABOUT, "{}")
        archive.writestr(name, b"x")

    (tmp_path / "a.zip").write_bytes(seal(fill))
    with pytest.raises(UserError, match="which no backup has"), open_archive(tmp_path / "a.zip"):
        pytest.fail("it was believed")


def test_a_link_is_unpacked_as_the_file_it_is(tmp_path: Path) -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr(ABOUT, "{}")
        link = zipfile.ZipInfo("videos")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(tmp_path))

    (tmp_path / "a.zip").write_bytes(seal(fill))
    with open_archive(tmp_path / "a.zip") as archive:
        archive.extract(tmp_path / "out", silent)
    assert not (tmp_path / "out" / "videos").is_symlink()
    assert (tmp_path / "out" / "videos").read_text() == str(tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")

    (tmp_path / "a.zip").write_bytes(seal(fill))
    with pytest.raises(UserError, match="which no backup has"), open_archive(tmp_path / "a.zip"):
        pytest.fail("it was believed")


def test_more_than_the_disk_holds_is_refused_before_a_file_is_written(tmp_path: Path) -> None:
    """A small archive may say that it unpacks to any size."""

    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr(ABOUT, "{}")
        archive.writestr("bomb.db", b"", zipfile.ZIP_DEFLATED)
        archive.infolist()[-1].file_size = 2**62

    (tmp_path / "a.zip").write_bytes(seal(fill))
    with open_archive(tmp_path / "a.zip") as archive, pytest.raises(UserError, match="do not fit on the disk"):
        archive.extract(tmp_path / "out", silent)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("about", ["[]", "no json", "\xff"])
def test_without_a_description_it_is_no_backup(tmp_path: Path, about: str) -> None:
    (tmp_path / "a.zip").write_bytes(seal(lambda archive: archive.writestr(ABOUT, about.encode("latin-1"))))
    with pytest.raises(UserError, match="is no backup of fewclicks"), open_archive(tmp_path / "a.zip"):
        pytest.fail("it was believed")
