"""Objects at a URL: one contract for a bucket (a real S3 protocol on this machine), a folder and memory."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.object_store import ObjectStore, open_store
from workspace.errors import LeaseLost, ToolUnavailable, UserError


def nothing() -> None:
    """A worker that may go on."""


@pytest.fixture(params=["s3", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "s3":
        return open_store(f"{request.getfixturevalue('s3_bucket')}/{uuid.uuid4().hex}")
    if request.param == "file":
        return open_store(f"file://{tmp_path}/store")
    return open_store(f"memory://{uuid.uuid4().hex}")


def test_what_is_put_is_got(store: ObjectStore, tmp_path: Path) -> None:
    source, copy = tmp_path / "a.zip", tmp_path / "b.zip"
    source.write_bytes(os.urandom(100_000))
    beats: list[int] = []
    store.put("video/one.zip", source, lambda: beats.append(1))
    store.put("video/one.zip", source, nothing)  # again: nothing changes
    store.get("video/one.zip", copy, lambda: beats.append(1))
    assert copy.read_bytes() == source.read_bytes()
    with pytest.raises(UserError, match=r"video/two\.zip is missing"):
        store.get("video/two.zip", copy, nothing)


def test_what_is_there_is_listed_with_its_age_until_it_is_removed(store: ObjectStore, tmp_path: Path) -> None:
    assert store.listed() == []
    source = tmp_path / "a.zip"
    source.write_bytes(bytes(1000))
    for name in ("video/one.zip", "video/two.zip", "other/one.zip"):
        store.put(name, source, nothing)
    there = sorted(store.listed(), key=lambda one: one.name)
    assert [(one.name, one.bytes) for one in there] == [
        ("other/one.zip", 1000),
        ("video/one.zip", 1000),
        ("video/two.zip", 1000),
    ]
    assert all(abs(one.written_at - time.time()) < 120 for one in there)
    store.remove("video/one.zip")
    store.remove("video/one.zip")
    assert sorted(one.name for one in store.listed()) == ["other/one.zip", "video/two.zip"]


def test_a_worker_that_lost_its_lease_leaves_no_object(
    s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.zip"
    source.write_bytes(bytes(9 * 2**20))  # more than one part

    def lost() -> None:
        raise LeaseLost("gone")

    store = open_store(f"{s3_bucket}/lost")
    with pytest.raises(LeaseLost):
        store.put("one.zip", source, lost)
    with pytest.raises(UserError, match="is missing"):
        store.get("one.zip", tmp_path / "b", nothing)


def test_a_folder_never_shows_half_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, root = tmp_path / "a.zip", tmp_path / "store"
    source.write_bytes(b"whole")
    store = open_store(f"file://{root}")
    monkeypatch.setattr("connectors.object_store._FIRST_PAUSE_S", 0.0)
    broken = [OSError(28, "No space left on device")] * 2
    real = type(store._fs).mv  # type: ignore[attr-defined]

    def mv(self: object, *arguments: object) -> None:
        if broken:
            raise broken.pop()
        real(self, *arguments)

    monkeypatch.setattr(type(store._fs), "mv", mv)  # type: ignore[attr-defined]
    store.put("v/one.zip", source, nothing)  # the third attempt
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["one.zip"]
    broken += [OSError(28, "No space left on device")] * 9
    with pytest.raises(ToolUnavailable, match="No space left"):
        store.put("v/two.zip", source, nothing)
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["one.zip"]


def test_trouble_is_told_without_keys(s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.zip"
    source.write_bytes(b"x")
    with pytest.raises(UserError, match=r"refused a request \(NoSuchBucket\)\. Check workspace\.remote"):
        open_store("s3://nobody-made-this-bucket").put("one.zip", source, nothing)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ToolUnavailable, match="does not answer") as told:
        open_store(s3_bucket).get("one.zip", tmp_path / "b", nothing)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(told.value)
    with pytest.raises(UserError, match="cannot be used"):
        open_store("no-such-thing://a/b")


@pytest.fixture(autouse=True)
def no_memory_left() -> Iterator[None]:
    yield
    import fsspec

    fsspec.filesystem("memory").store.clear()
