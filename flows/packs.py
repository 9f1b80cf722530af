"""Packs: the files of a video as they lie in `workspace.remote`.

One pack holds what one step of a video left that must last, as an archive named by its SHA-256. The facts name it in
the transaction that moves the video on (a `kept` event), so:

- no fact speaks of a file that only one machine has: the pack is there before the event;
- a worker that has lost its lease overwrites nothing: its packs have names of their own, and no fact names them;
- nothing half-written is seen, and a damaged or exchanged pack is recognised by its name.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from connectors.object_store import ObjectStore
from workspace.archive import open_archive, write_archive
from workspace.errors import UserError
from workspace.files import read_json, write_json

# of these the newest replaces what was before it: one pack each, and only the last of a kind is needed to go on
REPLACED = {"masks", "probabilities", "models", "frame-errors"}
OTHERS = "others"
_PIECE = 2**20

Beat = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Pack:
    """unit: "masks/FINGERPRINT" and the like, or "others";  sha256: of the archive, and its name;  bytes: its size"""

    unit: str
    sha256: str
    files: int
    bytes: int

    @property
    def kind(self) -> str:
        return self.unit.partition("/")[0]

    def name(self, video: str) -> str:
        return f"{video}/{self.sha256}.zip"


def unit_of(name: str) -> str:
    """Which unit a file of a video belongs to, from its path in the video's folder."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] in REPLACED else OTHERS


def packs_of(events: Iterable[Mapping[str, Any]]) -> list[Pack]:
    """Every pack that counts, oldest first, from the payloads of `kept` events; one with `anew` begins again."""
    packs: list[Pack] = []
    for payload in events:
        packs = [] if payload.get("anew") else packs
        packs += [Pack(**pack) for pack in payload["packs"]]
    return packs


def every_pack(events: Iterable[Mapping[str, Any]]) -> list[Pack]:
    """Those too that no longer count."""
    return [Pack(**pack) for payload in events for pack in payload["packs"]]


def needed(packs: Sequence[Pack]) -> list[Pack]:
    """Without those that a later one replaces."""
    last = {pack.kind: pack.unit for pack in packs}
    return [pack for pack in packs if pack.kind == OTHERS or pack.unit == last[pack.kind]]


def worth_having(packs: Sequence[Pack]) -> list[Pack]:
    """Without the probabilities of earlier rounds, which nobody reads again; masks and models can be looked at."""
    newest = {pack.unit for pack in needed(packs)}
    return [pack for pack in packs if pack.kind != "probabilities" or pack.unit in newest]


class PackFolder:
    """What this machine knows of packs, in a hidden folder of a video: which file came with which pack."""

    def __init__(self, folder: Path, video: str) -> None:
        self._files, self._folder, self._video = folder, folder / ".kept", video

    def names(self, packs: Iterable[Pack]) -> set[str]:
        """The files of those packs that were written or unpacked here, as paths in the video's folder."""
        return {name for pack in packs if self._list(pack).exists() for name in read_json(self._list(pack))}

    def has(self, pack: Pack) -> bool:
        """Whether the pack was written or unpacked here, and all its files are still there."""
        return self._list(pack).exists() and all((self._files / name).exists() for name in read_json(self._list(pack)))

    def write(self, unit: str, names: Sequence[str], store: ObjectStore, beat: Beat) -> Pack:
        """Pack these files and put the pack into the store."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f"{secrets.token_hex(8)}.part"
        try:
            about = {"video": self._video, "unit": unit}
            write_archive(draft, about, {name: self._files / name for name in names}, lambda _: beat())
            pack = Pack(unit, _sha256(draft, beat), len(names), draft.stat().st_size)
            store.put(pack.name(self._video), draft, beat)
        finally:
            draft.unlink(missing_ok=True)
        write_json(self._list(pack), sorted(names))
        return pack

    def unpack(self, pack: Pack, store: ObjectStore, beat: Beat) -> None:
        """Bring the pack's files here, each whole; they take the place of what has their names. UserError if a single
        bit is not as it was packed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f"{secrets.token_hex(8)}.part"
        unpacked = draft.with_suffix(".unpacked")
        try:
            store.get(pack.name(self._video), draft, beat)
            if draft.stat().st_size != pack.bytes or _sha256(draft, beat) != pack.sha256:
                raise UserError(
                    f"{pack.name(self._video)} in workspace.remote is damaged: it is not what was put there.",
                    "Bring it back from a copy; on a machine that still has the files, `fewclicks share DIR --anew`.",
                )
            with open_archive(draft) as archive:
                names = sorted(archive.sizes)
                if dict(archive.about) != {"video": self._video, "unit": pack.unit}:
                    raise UserError(f"{pack.name(self._video)} holds files of something else.", "Do not use it.")
                archive.extract(unpacked, lambda _: beat())
            os.sync()  # the data is on disk before any name is
            for name in names:
                (self._files / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(unpacked / name, self._files / name)
        finally:
            draft.unlink(missing_ok=True)
            shutil.rmtree(unpacked, ignore_errors=True)
        write_json(self._list(pack), names)

    def tidy(self, packs: Iterable[Pack]) -> None:
        """Forget packs that no fact names, and remove what killed processes left."""
        known = {self._list(pack).name for pack in packs} | {self._last.name}
        for path in self._folder.iterdir() if self._folder.exists() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in known:
                path.unlink(missing_ok=True)

    @property
    def last(self) -> str:
        """The pack after which this folder was last known to be in step with the facts; "" if never."""
        return str(read_json(self._last)) if self._last.exists() else ""

    @last.setter
    def last(self, sha256: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._last, sha256)

    @property
    def _last(self) -> Path:
        return self._folder / "last.json"

    def _list(self, pack: Pack) -> Path:
        return self._folder / f"{pack.sha256}.json"


def payload_of(packs: Sequence[Pack], anew: bool = False) -> dict[str, Any]:
    """The payload of a `kept` event."""
    return {"packs": [asdict(pack) for pack in packs]} | ({"anew": True} if anew else {})


def _sha256(path: Path, beat: Beat) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            beat()
    return digest.hexdigest()
