"""The tasks of tiles on the server: which there are, and what people said in them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from connectors.label_studio.client import TaskRow, delete_task, list_tasks, task_or_none, tasks_answered_with
from connectors.label_studio.excerpts import KEY
from connectors.label_studio.tiles import CANNOT_TELL, SEVERAL, TILES, Tile, tile_answers, tile_keys, tile_of_data
from connectors.labeling_tool import Answer
from workspace.mask import UNKNOWN

log = logging.getLogger(__name__)


def find_tile_tasks(
    client: Any,
    project: int,
    keys: Collection[str],
    prefixes: Sequence[str | None],
    before_write: Callable[[], None] = lambda: None,
) -> list[TaskRow]:
    """The tasks with a tile of any of these keys, by ascending id. `prefixes`: where to look, as in `list_tasks`.

    An unanswered task all of whose keys stand in others, older or answered, is a surplus copy and is deleted; it is
    looked at once more just before: one that somebody works on or has answered meanwhile stays.
    """
    found = {row.id: row for prefix in prefixes for row in list_tasks(client, project, prefix)}
    rows = [row for _, row in sorted(found.items()) if not frozenset(keys).isdisjoint(tile_keys(row.data))]
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


def tiles_of_several(
    client: Any,
    project: int,
    rows: Sequence[TaskRow],
    prefixes: Sequence[str | None],
    options: Mapping[int, str],
    where: Callable[[int], str],
) -> dict[str, Tile]:
    """By key, the tiles of these tasks that somebody says have more than one class.

    `where`: the address of a task, for the log: a tile whose data somebody has broken cannot be asked again.
    """
    ids = {task for prefix in prefixes for task in tasks_answered_with(client, project, options[SEVERAL], prefix)}
    several: dict[str, Tile] = {}
    for row in rows:
        task = task_or_none(client, row.id) if row.finished and row.id in ids else None
        for annotation in (task or {}).get("annotations") or []:
            said = {} if annotation.get("was_cancelled") else tile_answers(annotation.get("result"), options)
            for index, data in enumerate(row.data[TILES]):
                if said.get(index) == SEVERAL:
                    try:
                        tile = tile_of_data(data)
                        several[tile.excerpt.key] = tile
                    except ValueError as error:
                        log.warning("Tile %d of %s cannot be asked again: %s.", index + 1, where(row.id), error)
    return several


def answers_of_tiles(
    task: Mapping[str, Any],
    annotation: Mapping[str, Any],
    keys: Collection[str],
    options: Mapping[int, str],
    annotator: str,
    where: str,
) -> Iterator[Answer]:
    """What one annotation says about each of `keys`, in the order of the tiles.

    "More than one class" is no answer: the picture that is painted next gives it. A tile without a choice says nothing
    (a mask of 255), "can't tell" and a skipped task count as skipped, as does a tile whose data somebody has broken.
    The seconds of the task are shared out evenly.
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
            annotator=annotator,
            mask=mask,
            skipped=skipped,
            seconds=float(annotation.get("lead_time") or 0.0) / len(tiles),
            finished_at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
            changed_regions=changed,
            raw={**annotation, "task": task["id"], "tile": index},
        )
