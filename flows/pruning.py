"""Removes what nobody will read again from `workspace.remote`: packs that no fact names, and those of rounds long over.

Why nothing is removed that is named, or about to be: packs of a video are stored and named under its lease, and they
are removed under its lease as well. Whoever held it before and is only frozen can name nothing any more. What belongs
to no video yet (somebody adds one now, which takes no lease) is left alone for a day at least.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.object_store import ObjectStore, Stored, open_store
from flows.packs import packs_of, payload_of, worth_having
from workspace.errors import LeaseLost, UserError
from workspace.facts import Facts, NewEvent
from workspace.layout import Layout
from workspace.video import Video

DAY_S = 86_400.0


class NoFiles:
    """A `Keeping` for a lease under which nothing is computed: no file is brought here, none is stored."""

    def fetch(self, video: Video, events: Iterable[Mapping[str, Any]], beat: Callable[[], None]) -> None:
        return

    def keep(self, video: Video, beat: Callable[[], None]) -> dict[str, Any] | None:
        return None


@dataclass(frozen=True, slots=True)
class Pruned:
    """`skipped`: a process is at this video, or it is held; another time"""

    place: str
    objects: int = 0
    bytes: int = 0
    skipped: bool = False


def prune(layout: Layout, older_than_s: float, really: bool = True) -> Iterator[Pruned]:
    """The store of a project, video by video; UserError for a project without one."""
    config = layout.config()
    if config.workspace.remote is None:
        raise UserError(f"The files of {layout.root} lie in its folder only.", "There is nothing to prune.")
    with Facts.of(layout, NoFiles()) as facts:
        yield from prune_store(facts, open_store(config.workspace.remote), config.lease.seconds, older_than_s, really)


def prune_store(
    facts: Facts,
    store: ObjectStore,
    lease_s: float,
    older_than_s: float,
    really: bool = True,
    clock: Callable[[], float] = time.time,
) -> Iterator[Pruned]:
    """What was (or without `really` would be) removed, video by video; what belongs to none comes last, as "".

    facts: with `NoFiles`;  older_than_s: what was written later stays, whatever it is
    """
    now = clock()
    old = [one for one in store.listed() if now - one.written_at > older_than_s]
    videos = [row.video.id for row in facts.videos()]
    for video in videos:
        of_it = [one for one in old if one.name.startswith(f"{video}/")]
        yield _of_video(facts, store, video, of_it, lease_s, really)
    strange = [one for one in old if one.name.partition("/")[0] not in videos]
    adding = max(older_than_s, DAY_S)
    yield _remove(store, "", [one for one in strange if now - one.written_at > adding], really, lambda: None)


def _of_video(
    facts: Facts, store: ObjectStore, video: str, old: Sequence[Stored], lease_s: float, really: bool
) -> Pruned:
    lease = facts.claim(video, lease_s)
    if lease is None:
        return Pruned(video, skipped=True)
    try:
        packs = packs_of(event.payload for event in facts.events(video, "kept"))
        wanted = worth_having(packs)
        young = {pack.name(video) for pack in packs} - {one.name for one in old}
        keep = [pack for pack in packs if pack in wanted or pack.name(video) in young]
        if really and len(keep) < len(packs):
            lease.record([NewEvent("kept", payload_of(keep, anew=True))])  # from here on no fact that counts names them
        named = {pack.name(video) for pack in keep}
        return _remove(store, video, [one for one in old if one.name not in named], really, lease.check)
    except LeaseLost:
        return Pruned(video, skipped=True)
    finally:
        lease.release()


def _remove(
    store: ObjectStore, place: str, surplus: Sequence[Stored], really: bool, check: Callable[[], None]
) -> Pruned:
    for one in surplus if really else ():
        check()  # ours still, or whoever took over may have named it by now
        store.remove(one.name)
    return Pruned(place, len(surplus), sum(one.bytes for one in surplus))
