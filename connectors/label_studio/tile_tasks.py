"""The tasks of tiles on the server: which there are, and what people said in them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.label_studio.annotated import Asked, annotator_id, annotator_name, in_order, read_tasks
from connectors.label_studio.client import TaskRow, delete_task, list_tasks, task_or_none, tasks_answered_with
from connectors.label_studio.excerpts import KEY
from connectors.label_studio.tiles import CANNOT_TELL, SEVERAL, TILES, Tile, tile_answers, tile_keys, tile_of_data
from connectors.labeling_tool import Answer, Effort
from workspace.mask import UNKNOWN

log = logging.getLogger(__name__)


def find_tile_tasks(
    client: Any,
    project: int,
    keys: Collection[str] | None,
    prefixes: Sequence[str | None],
    before_write: Callable[[], None] = lambda: None,
    listing: Callable[[Any, int, str | None], list[TaskRow]] = list_tasks,
) -> list[TaskRow]:
    """The tasks with a tile of any of these keys (of any at all), by ascending id. `prefixes`: as in `list_tasks`.

    listing: client, project and prefix to rows
    An unanswered task all of whose keys stand in others, older or answered, is a surplus copy and is deleted; it is
    looked at once more just before: one that somebody works on or has answered meanwhile stays.
    """
    found = {row.id: row for prefix in prefixes for row in listing(client, project, prefix)}
    wanted = None if keys is None else frozenset(keys)
    rows = [row for _, row in sorted(found.items()) if _has_tile_of(row, wanted)]
    covered = {key for row in rows if row.finished for key in tile_keys(row.data)}
    kept = [row for row in rows if row.finished]
    for row in (row for row in rows if not row.finished):
        own = frozenset(tile_keys(row.data))
        task = task_or_none(client, row.id) if own <= covered else None
        if own <= covered and task is None:
            continue
        if task is None or task.get("annotations") or task.get("drafts"):
            kept.append(row)
            covered |= own
        else:
            before_write()
            delete_task(client, row.id)
    return sorted(kept, key=lambda row: row.id)


def rows_by_tile(rows: Sequence[TaskRow]) -> dict[str, list[TaskRow]]:
    """The tasks that each tile is in; several only where people answered several."""
    found: dict[str, list[TaskRow]] = {}
    for row in rows:
        for key in tile_keys(row.data):
            found.setdefault(key, []).append(row)
    return found


def _has_tile_of(row: TaskRow, keys: frozenset[str] | None) -> bool:
    own = tile_keys(row.data)
    return bool(own) and (keys is None or not keys.isdisjoint(own))


@dataclass(frozen=True, slots=True, eq=False)
class Finer:
    """A tile that has more than one class, says somebody, and that is painted therefore.

    `people`: who answered its tasks;  `choosers`: those of them who said something else, an opinion that counts.
    """

    tile: Tile
    people: frozenset[int]
    choosers: frozenset[int]

    def painters_wanted(self, painters: Collection[int]) -> int:
        """How many are to paint it, `painters` included, for as many opinions as there are people."""
        return painters_wanted(len(self.people), self.choosers, painters)


def painters_wanted(opinions: int, choosers: Collection[int], painters: Collection[int]) -> int:
    """How many different people are to paint a tile so that it has so many opinions.

    Nobody can be kept from painting what they chose a class for; they are one opinion then, and one more is wanted.
    """
    return len(painters) + opinions - len({*choosers, *painters})


def tiles_of_several(
    client: Any,
    project: int,
    asked: Sequence[Asked],
    prefixes: Sequence[str | None],
    options: Mapping[int, str],
    where: Callable[[int], str],
) -> dict[str, Finer]:
    """By key, the tiles of these tasks that somebody says have more than one class.

    `where`: the address of a task, for the log: a tile whose data somebody has broken cannot be asked again.
    """
    ids = {task for prefix in prefixes for task in tasks_answered_with(client, project, options[SEVERAL], prefix)}
    several: dict[str, Finer] = {}
    for task in read_tasks(client, project, [item for item in asked if item.row.id in ids]):
        for index, data in enumerate(task["data"].get(TILES) or []):
            said = {annotator_id(made): _said(made, index, options) for made in in_order(task)}
            if SEVERAL not in said.values():
                continue
            try:
                tile = tile_of_data(data)
            except ValueError as error:
                log.warning("Tile %d of %s cannot be asked again: %s.", index + 1, where(int(task["id"])), error)
                continue
            choosers = frozenset(person for person, answer in said.items() if answer != SEVERAL)
            before = several.get(tile.excerpt.key, Finer(tile, frozenset(), frozenset()))
            several[tile.excerpt.key] = Finer(tile, before.people | said.keys(), before.choosers | choosers)
    return several


def choosers_of(client: Any, rows: Sequence[TaskRow], key: str, options: Mapping[int, str]) -> frozenset[int]:
    """Who has answered the tile of this key in these tasks, other than with "more than one class"."""
    people = set()
    for row in rows:
        task = task_or_none(client, row.id) if row.finished else None
        for index, own in enumerate(tile_keys((task or {}).get("data") or {})):
            said = {annotator_id(made): _said(made, index, options) for made in in_order(task or {})}
            people |= {person for person, answer in said.items() if own == key and answer != SEVERAL}
    return frozenset(people)


def _said(annotation: Mapping[str, Any], index: int, options: Mapping[int, str]) -> int | None:
    """The answer about one tile; None where there is none."""
    return None if annotation.get("was_cancelled") else tile_answers(annotation.get("result"), options).get(index)


def answers_of_tiles(
    task: Mapping[str, Any],
    annotation: Mapping[str, Any],
    keys: Collection[str],
    options: Mapping[int, str],
    where: str,
    effort: Effort | None,
) -> Iterator[Answer]:
    """What one annotation says about each of `keys`, in the order of the tiles.

    "More than one class" is no answer: the picture that is painted next gives it. A tile without a choice says nothing
    (a mask of 255), "can't tell" and a skipped task count as skipped, as does a tile whose data somebody has broken.
    The seconds and the effort of the task are shared out evenly.
    """
    result, all_skipped = annotation.get("result"), bool(annotation.get("was_cancelled"))
    said = tile_answers(result, options)
    tiles = (task.get("data") or {}).get(TILES) or []
    for index, data in enumerate(tiles):
        key = str(data.get(KEY)) if isinstance(data, dict) else ""
        if key not in keys or (said.get(index) == SEVERAL and not all_skipped):
            continue
        mask, changed, skipped = None, None, all_skipped or said.get(index) == CANNOT_TELL
        if not skipped:
            try:
                tile = tile_of_data(data)
                answer = said.get(index)
                mask = tile.excerpt.filled(UNKNOWN if answer is None else answer)
                changed = int(answer != tile.predicted)
            except ValueError as error:
                log.warning("Tile %d of %s counts as skipped: %s.", index + 1, where, error)
                skipped = True
        yield Answer(
            key=key,
            annotation=str(annotation["id"]),
            annotator=annotator_name(annotation),
            mask=mask,
            skipped=skipped,
            seconds=float(annotation.get("lead_time") or 0.0) / len(tiles),
            finished_at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
            changed_regions=changed,
            effort=None if effort is None else _share(effort, index, len(tiles)),
            raw={**annotation, "task": task["id"], "tile": index},
        )


def _share(effort: Effort, index: int, tiles: int) -> Effort:
    """One tile's part of the effort of a task; clicks and keys are whole, and add up to all of them."""
    clicks, keys = ((index + 1) * n // tiles - index * n // tiles for n in (effort.clicks, effort.keys))
    return Effort(clicks, keys, effort.active_seconds / tiles, effort.wall_seconds / tiles)
