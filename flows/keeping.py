"""Keeps a project's files where every worker finds them: fetched when a lease is taken, stored before facts change.

Between the two a worker works on its own disk. What is computed again from the frames (optical flow, embeddings) stays
there, and so do the frames that an interrupted propagation had finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connectors.object_store import ObjectStore, open_store
from flows.backup_files import kept_files
from flows.packs import OTHERS, Pack, PackFolder, every_pack, needed, packs_of, payload_of, unit_of, worth_having
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.layout import Layout
from workspace.video import Video

Beat = Callable[[], None]


class Keeping:
    """`workspace.facts.Keeping`, with packs in an object store. One per process and project."""

    def __init__(self, layout: Layout, store: ObjectStore) -> None:
        self._layout, self._store = layout, store
        self._kept: dict[str, list[Pack]] = {}  # video -> packs, as of its last lease

    def fetch(self, video: Video, events: Iterable[Mapping[str, Any]], beat: Beat) -> None:
        """Make the video's folder what the facts say, and remove what they do not: the caller has the lease."""
        events = list(events)
        packs = packs_of(events)
        folder = self._folder(video)
        once = folder.names(every_pack(events))
        folder.tidy(packs)
        self._bring(video, needed(packs), beat)
        # pruned: what a fact named once and none names now would else be stored again, as something new
        for name in once - folder.names(packs):
            (self._layout.video(video.id) / name).unlink(missing_ok=True)
        last = packs[-1].sha256 if packs else ""
        if packs and folder.last != last:
            # somebody else has worked on it: what a run here had begun may not fit what came of theirs
            vouched = folder.names(worth_having(packs))
            for name in set(self._files(video)) - vouched:
                (self._layout.video(video.id) / name).unlink(missing_ok=True)
            folder.last = last
        self._kept[video.id] = packs

    def keep(self, video: Video, beat: Beat, anew: bool = False) -> dict[str, Any] | None:
        """Store what is new since the lease was taken; what the `kept` event says of it, None if nothing is new.

        anew: store everything once more, and have the facts forget what was stored before
        """
        folder, before = self._folder(video), [] if anew else self._kept.get(video.id, [])
        units: dict[str, list[str]] = {}
        for name in sorted(set(self._files(video)) - folder.names(before)):
            units.setdefault(unit_of(name), []).append(name)
        made = [folder.write(unit, names, self._store, beat) for unit, names in units.items()]
        if not made:
            return None
        self._kept[video.id] = [*before, *made]
        folder.last = made[-1].sha256
        return payload_of(made, anew)

    def bring(self, video: Video, events: Iterable[Mapping[str, Any]], beat: Beat) -> None:
        """Bring everything here that the facts name and nothing newer replaces, and older masks and models.

        Removes nothing, and needs no lease.
        """
        self._bring(video, worth_having(packs_of(events)), beat)

    def _bring(self, video: Video, packs: list[Pack], beat: Beat) -> None:
        folder = self._folder(video)
        for pack in packs:
            if not folder.has(pack):
                folder.unpack(pack, self._store, beat)
        last_frame = self._layout.frame(video, video.frames - 1)
        if not any(pack.kind == OTHERS for pack in packs) and not last_frame.exists():
            raise UserError(
                f"The frames of {video.id} are neither here nor in workspace.remote.",
                "Run `fewclicks share DIR` on the machine that has them.",
            )

    def _files(self, video: Video) -> list[str]:
        start = f"videos/{video.id}/"
        return [name.removeprefix(start) for name in kept_files(self._layout, video)]

    def _folder(self, video: Video) -> PackFolder:
        return PackFolder(self._layout.video(video.id), video.id)


def facts_of(layout: Layout) -> Facts:
    """The facts of a project, for whoever takes leases or adds videos: with `workspace.remote`, files are kept too."""
    return Facts.of(layout, keeping_of(layout))


def keeping_of(layout: Layout) -> Keeping | None:
    """None for a project whose files lie in its folder only."""
    remote = layout.config().workspace.remote
    return None if remote is None else Keeping(layout, open_store(remote))
