"""Label Studio as the labeling tool of the loop."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from connectors.label_studio.client import TaskRow, connected, delete_task, list_tasks, project_or_none, task_or_none
from connectors.label_studio.excerpts import KEY, Excerpt, excerpt_of_data
from connectors.label_studio.labeling_config import class_ids, label_texts, labeling_config, tiles_config
from connectors.label_studio.pictures import Pictures
from connectors.label_studio.project import NEW_PROJECT_HINT, find_or_create_project, find_project, load_record
from connectors.label_studio.regions import prediction_regions, read_result
from connectors.label_studio.tile_tasks import answers_of_tiles, find_tile_tasks, tiles_of_several
from connectors.label_studio.tiles import Tile, grouped, tile_keys, tile_options, tiles_task
from connectors.labeling_tool import Answer, LabelingTool, Progress, Question
from workspace.config import ClassConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Granularity, Sample

log = logging.getLogger(__name__)

MODEL_VERSION = "fewclicks"  # one for all: a project pre-fills annotations from one version only
_LOCAL_FILES = "/data/local-files/?d="
_IMPORT_BYTES = 16_000_000
_PREFIX_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-/")
_MANY_PREFIXES = 8
_TILES_AT_ONCE = 5_000  # sorted together before they are put into tasks


def _go_on() -> None:
    """before_write where the caller has just made sure that we may."""


@dataclass(frozen=True, slots=True)
class Desk:
    """One Label Studio project, whose interface either lets people paint or choose. `file` remembers its id."""

    file: Path
    title: str
    config: str


class LabelStudioTool(LabelingTool):
    """Frames and patches become tasks to paint in one project, superpixels tiles to name in a second one.

    url, api_key     the server, and a personal or legacy access token
    title            of the project that is made at the first push
    classes          labels and colours; `background` (a class name) is what unpainted pixels get at pull
    files_root       LOCAL_FILES_DOCUMENT_ROOT of the server; the images lie under it
    workspace_root   images are served from its first-level folders
    project_file     remembers the project; default workspace_root/label-studio-project.json, for tiles -tiles.json
    tiles            how many superpixels go into one task
    tile_patches     ask for one class per patch in tiles too

    A tile with more than one class, says somebody, is asked again when we look next, as a picture to paint under the
    same key; its question stays open until that one is answered.

    What comes back broken never stops the rest: a region that cannot be read is left out and logged with the task's
    address, unpainted pixels of that annotation stay 255, and one with no readable region is a mask of 255.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        title: str,
        classes: tuple[ClassConfig, ...],
        background: str | None,
        files_root: Path,
        workspace_root: Path,
        project_file: Path | None = None,
        batch: int = 100,
        tiles: int = 20,
        tile_patches: bool = False,
    ) -> None:
        names = [c.name for c in classes]
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._labels = label_texts(names)
        self._ids = class_ids(names)
        self._background = None if background is None else names.index(background)
        self._options = tile_options(names)
        self._files_root = files_root.resolve()
        self._workspace_root = workspace_root.resolve()
        file = self._project_file = project_file or workspace_root / "label-studio-project.json"
        self._painting = Desk(file, title, labeling_config(classes))
        # titles have room for 50 characters
        tiles_title = f"{title[:42]} (tiles)"
        self._choosing = Desk(file.with_stem(f"{file.stem}-tiles"), tiles_title, tiles_config(classes, tiles))
        self._batch = batch
        self._tiles = tiles
        self._chosen = {Granularity.SUPERPIXEL} | ({Granularity.PATCH} if tile_patches else set())
        self._pictures = Pictures(self._workspace_root, self._address)

    # what the loop needs

    granularities = frozenset(Granularity)

    def push(self, questions: Iterable[Question], before_write: Callable[[], None]) -> int:
        waiting = iter(questions)
        batch = list(islice(waiting, self._batch))
        if not batch:
            return 0
        new = 0
        projects: dict[Desk, int] = {}
        tiles: dict[str, Tile] = {}
        with connected(self.url, self._api_key) as client:
            while batch:
                to_choose = [question for question in batch if question.sample.granularity in self._chosen]
                to_paint = [question for question in batch if question.sample.granularity not in self._chosen]
                for desk, needed in ((self._choosing, to_choose), (self._painting, to_paint)):
                    if needed and desk not in projects:
                        projects[desk] = self._found_or_made(client, desk, before_write)
                if to_paint:
                    new += self._push_batch(client, projects[self._painting], to_paint, before_write)
                if to_choose:
                    tiles |= self._missing_tiles(client, projects[self._choosing], to_choose, tiles, before_write)
                batch = list(islice(waiting, self._batch))
                if tiles and (not batch or len(tiles) >= _TILES_AT_ONCE):
                    new += self._push_tiles(client, projects[self._choosing], list(tiles.values()), before_write)
                    tiles = {}
            for project in projects.values():
                self._show_predictions(client, project, before_write)
        return new

    def progress(self, keys: Collection[str]) -> Progress:
        wanted = frozenset(keys)
        if not wanted:
            return Progress(frozenset(), frozenset(), frozenset())
        with connected(self.url, self._api_key) as client:
            choosing, painting = self._known_projects(client)
            rows = [] if choosing is None else find_tile_tasks(client, choosing, wanted, _prefixes(wanted))
            answered = {key for row in rows if row.finished for key in tile_keys(row.data)}
            if answered and choosing is not None:
                finer = self._finer(client, choosing, rows, wanted)
                if finer:
                    painting = self._ask_finer(client, painting, finer)
                    answered -= finer.keys()
            tasks = {} if painting is None else self._tasks_by_key(client, painting, wanted)
            found = {key for row in rows for key in tile_keys(row.data)} | tasks.keys()
            # the listing of a project that was deleted meanwhile looks empty: that must not read as "all gone"
            if not wanted <= found and any(
                project is not None and project_or_none(client, project) is None for project in (choosing, painting)
            ):
                self._known_projects(client)
        answered |= {key for key, copies in tasks.items() if any(t.finished for t in copies)}
        return Progress(wanted & answered, wanted & (found - answered), wanted - found)

    def pull(self, keys: Collection[str]) -> Iterator[Answer]:
        wanted = frozenset(keys)
        if not wanted:
            return
        found: list[tuple[int, str, int, dict[str, Any], dict[str, Any]]] = []
        with connected(self.url, self._api_key) as client:
            choosing, painting = self._known_projects(client)
            asked: list[tuple[int, str, TaskRow]] = []  # project, key ("" for one of tiles), task
            if choosing is not None:
                rows = find_tile_tasks(client, choosing, wanted, _prefixes(wanted))
                asked += [(choosing, "", row) for row in rows]
            if painting is not None:
                by_key = self._tasks_by_key(client, painting, wanted)
                asked += [(painting, key, row) for key, copies in by_key.items() for row in copies]
            for project, key, row in asked:
                task = task_or_none(client, row.id) if row.finished else None
                for annotation in (task or {}).get("annotations") or []:
                    assert task is not None
                    found.append((int(annotation["id"]), key, project, task, annotation))
        for _, key, project, task, annotation in sorted(found, key=lambda item: item[0]):
            if key:
                yield self._answer(key, project, task, annotation)
            else:
                where, by = self._where(project, task["id"]), _annotator(annotation)
                yield from answers_of_tiles(task, annotation, wanted, self._options, by, where)

    def link(self, keys: Collection[str]) -> str:
        painting, choosing = self.project_id(), self.tiles_project_id()
        paint = self.url if painting is None else f"{self.url}/projects/{painting}/data?labeling=1"
        if choosing is None or not any(_granularity(key) in self._chosen for key in keys):
            return paint
        choose = f"{self.url}/projects/{choosing}/data?labeling=1"
        return choose if painting is None else f"{choose} and {paint}"

    # beyond the protocol

    def project_id(self) -> int | None:
        """The id of the project in which people paint, as last seen; None before its first push. Asks nobody."""
        record = load_record(self._painting.file)
        return None if record is None else record.project

    def tiles_project_id(self) -> int | None:
        """The same of the project in which people choose."""
        record = load_record(self._choosing.file)
        return None if record is None else record.project

    def check(self) -> str:
        """Address and version of the server, after a request that needs the token. ToolUnavailable otherwise."""
        with connected(self.url, self._api_key) as client:
            client.users.whoami()
            version = client.versions.get()
        return f"{self.url} (Label Studio {getattr(version, 'release', None) or 'unknown'})"

    def forget_project(self) -> None:
        """The next push makes new projects; the old ones, if they still exist, are left as they are."""
        for desk in (self._painting, self._choosing):
            desk.file.unlink(missing_ok=True)

    # push

    def _found_or_made(self, client: Any, desk: Desk, before_write: Callable[[], None]) -> int:
        return int(find_or_create_project(client, self.url, desk.file, desk.title, desk.config, before_write).id)

    def _push_batch(
        self, client: Any, project: int, batch: Sequence[Question], before_write: Callable[[], None]
    ) -> int:
        keys = {question.key for question in batch}
        present = self._tasks_by_key(client, project, keys, before_write)
        missing: dict[str, Question] = {}
        for question in batch:
            if question.key not in present:
                missing.setdefault(question.key, question)  # of one key asked twice, the first
        excerpts = {question.key: self._pictures.excerpt(question, tile=False) for question in missing.values()}
        tasks = [self._task(excerpts[q.key], _prediction(q, excerpts[q.key])) for q in missing.values()]
        self._import(client, project, tasks, list(excerpts.values()), before_write)
        # another process may have pushed the same keys at the same time
        self._tasks_by_key(client, project, keys, before_write)
        return len(tasks)

    def _missing_tiles(
        self,
        client: Any,
        project: int,
        batch: Sequence[Question],
        waiting: Collection[str],
        before_write: Callable[[], None],
    ) -> dict[str, Tile]:
        """By key, tiles of the questions that are in no task yet and not among those `waiting` to be put into one."""
        keys = frozenset(question.key for question in batch)
        rows = find_tile_tasks(client, project, keys, _prefixes(keys), before_write)
        present = {key for row in rows for key in tile_keys(row.data)}.union(waiting)
        tiles: dict[str, Tile] = {}
        for question in batch:
            if question.key not in present and question.key not in tiles:
                excerpt = self._pictures.excerpt(question, tile=True)
                shown = _prediction(question, excerpt)
                unknown = np.full(excerpt.inside.shape, UNKNOWN, np.uint8)
                tiles[question.key] = Tile(excerpt, unknown if shown is None else shown, self._address(question.image))
        return tiles

    def _push_tiles(self, client: Any, project: int, tiles: Sequence[Tile], before_write: Callable[[], None]) -> int:
        tasks = [tiles_task(group, self._options, MODEL_VERSION) for group in grouped(tiles, self._tiles)]
        self._import(client, project, tasks, [tile.excerpt for tile in tiles], before_write)
        keys = frozenset(tile.excerpt.key for tile in tiles)
        find_tile_tasks(client, project, keys, _prefixes(keys), before_write)  # as in _push_batch
        return len(tiles)

    def _import(
        self,
        client: Any,
        project: int,
        tasks: Sequence[dict[str, Any]],
        excerpts: Sequence[Excerpt],
        before_write: Callable[[], None],
    ) -> None:
        self._serve_folders(client, project, {excerpt.image for excerpt in excerpts}, before_write)
        for chunk in _chunks(tasks, _IMPORT_BYTES):
            before_write()
            client.projects.import_tasks(project, request=chunk)

    def _show_predictions(self, client: Any, project: int, before_write: Callable[[], None]) -> None:
        """Name the version that pre-fills annotations: accepted only once a prediction of that version is there."""
        now = client.projects.get(project)
        if now.model_version != MODEL_VERSION and (now.total_predictions_number or 0) > 0:
            before_write()
            client.projects.update(project, model_version=MODEL_VERSION)

    def _task(self, excerpt: Excerpt, shown: MaskArray | None) -> dict[str, Any]:
        """A task to paint. `shown`: (box height, box width) uint8, the prediction; None to show none."""
        task: dict[str, Any] = {"data": excerpt.data()}
        if shown is not None:
            result = prediction_regions(shown, self._labels, self._background)
            task["predictions"] = [{"model_version": MODEL_VERSION, "result": result}]
        return task

    def _address(self, image: Path) -> str:
        try:
            place = image.resolve().relative_to(self._files_root)
        except ValueError:
            raise UserError(
                f"{image} is not under {self._files_root}, so Label Studio cannot show it.",
                "Set label_studio.files_root to the server's LOCAL_FILES_DOCUMENT_ROOT, a folder above the images.",
            ) from None
        return f"{_LOCAL_FILES}{quote(place.as_posix(), safe='/')}"

    def _serve_folders(
        self, client: Any, project: int, addresses: Collection[str], before_write: Callable[[], None]
    ) -> None:
        """A local storage row for each folder that the images lie in; without one the server answers 404 for them."""
        images = [self._files_root / unquote(address.removeprefix(_LOCAL_FILES)) for address in addresses]
        folders = sorted({self._served_folder(image) for image in images})
        served = {str(storage.path).rstrip("/") for storage in client.import_storage.local.list(project=project)}
        for folder in folders:
            if str(folder) not in served:
                before_write()
                client.import_storage.local.create(
                    project=project, path=str(folder), title="fewclicks frames", use_blob_urls=True
                )

    def _served_folder(self, image: Path) -> Path:
        """The first-level folder of the workspace that holds the image, else the image's own: as little as possible."""
        inside = image.relative_to(self._workspace_root) if image.is_relative_to(self._workspace_root) else None
        folder = image.parent if inside is None or len(inside.parts) < 2 else self._workspace_root / inside.parts[0]
        if folder == self._files_root:
            raise UserError(
                f"{image} lies directly in {self._files_root}, from which Label Studio serves sub-folders only.",
                "Set label_studio.files_root to a folder further up (the LOCAL_FILES_DOCUMENT_ROOT of the server).",
            )
        return folder

    # looking

    def _known_projects(self, client: Any) -> tuple[int | None, int | None]:
        """The projects to choose and to paint in; None for one that was never made.

        UserError if neither was, or if one is deleted.
        """
        choosing, painting = (find_project(client, self.url, desk.file) for desk in (self._choosing, self._painting))
        if choosing is None and painting is None:
            raise UserError(f"This workspace has no Label Studio project at {self.url}.", NEW_PROJECT_HINT)
        return None if choosing is None else int(choosing.id), None if painting is None else int(painting.id)

    def _where(self, project: int, task: int) -> str:
        return f"{self.url}/projects/{project}/data?task={task}"

    def _finer(self, client: Any, project: int, rows: Sequence[TaskRow], wanted: Collection[str]) -> dict[str, Tile]:
        """By key, the tiles that somebody says have more than one class."""
        several = tiles_of_several(
            client, project, rows, _prefixes(wanted), self._options, lambda task: self._where(project, task)
        )
        return {key: tile for key, tile in several.items() if key in wanted}

    def _to_paint(self, tile: Tile) -> Excerpt:
        """A larger picture than the tile's; that one, should somebody have changed where the frame is."""
        image = (self._files_root / unquote(tile.frame.removeprefix(_LOCAL_FILES))).resolve()
        try:
            self._address(image)
            return self._pictures.to_paint(tile.excerpt, image)
        except (UserError, ValueError) as error:
            log.warning("%s is asked again with the picture of its tile: %s", tile.excerpt.key, error)
            return tile.excerpt

    def _ask_finer(self, client: Any, painting: int | None, finer: dict[str, Tile]) -> int:
        """Ask for those that are not asked for yet to be painted; returns the project."""
        project = self._found_or_made(client, self._painting, _go_on) if painting is None else painting
        present = self._tasks_by_key(client, project, finer.keys())
        new = [tile for key, tile in finer.items() if key not in present]
        if new:
            excerpts = [self._to_paint(tile) for tile in new]
            tasks = [
                self._task(excerpt, None if tile.predicted is None else excerpt.cut(tile.excerpt.placed(tile.shown)))
                for tile, excerpt in zip(new, excerpts, strict=True)
            ]
            self._import(client, project, tasks, excerpts, _go_on)
            self._show_predictions(client, project, _go_on)
        return project

    def _tasks_by_key(
        self, client: Any, project: int, keys: Collection[str], before_write: Callable[[], None] = _go_on
    ) -> dict[str, list[TaskRow]]:
        """The tasks of each key that has any, without surplus copies; several only where people answered several."""
        wanted = frozenset(keys)
        tasks: dict[str, list[TaskRow]] = {}
        seen: set[int] = set()
        for prefix in _prefixes(wanted):
            for row in list_tasks(client, project, prefix):
                key = row.data.get(KEY)
                if isinstance(key, str) and key in wanted and row.id not in seen:
                    seen.add(row.id)
                    tasks.setdefault(key, []).append(row)
        for key, copies in tasks.items():
            if len(copies) > 1:
                tasks[key] = _remove_surplus(client, key, copies, before_write)
        return tasks

    def _answer(self, key: str, project: int, task: dict[str, Any], annotation: dict[str, Any]) -> Answer:
        where = self._where(project, task["id"])
        skipped = bool(annotation.get("was_cancelled"))
        mask, changed = None, None
        try:
            excerpt = excerpt_of_data(task.get("data"))
        except ValueError as error:
            log.warning("The annotations of %s count as skipped: %s.", where, error)
            skipped = True
        if not skipped:
            predicted = _prediction_result(task, annotation.get("parent_prediction"))
            height, width = excerpt.inside.shape
            reading = read_result(annotation.get("result"), predicted, height, width, self._ids, self._background)
            mask, changed = excerpt.placed(reading.mask), reading.changed_regions
            if reading.problems:
                log.warning("Parts of %s, annotation %s, were left out: %s", where, annotation["id"], reading.problems)
        return Answer(
            key=key,
            annotation=str(annotation["id"]),
            annotator=_annotator(annotation),
            mask=mask,
            skipped=skipped,
            seconds=float(annotation.get("lead_time") or 0.0),
            finished_at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
            changed_regions=changed,
            raw={**annotation, "task": task["id"], "project": project},
        )


def _remove_surplus(
    client: Any, key: str, copies: Sequence[TaskRow], before_write: Callable[[], None]
) -> list[TaskRow]:
    """Of several tasks with one key keep those with annotations, or else the oldest; delete the others.

    Each is looked at once more just before: one that somebody works on or has answered meanwhile stays.
    """
    answered = [row for row in copies if row.finished]
    kept = answered or [min(copies, key=lambda row: row.id)]
    for row in copies:
        if row in kept:
            continue
        task = task_or_none(client, row.id)
        if task is None or (task.get("data") or {}).get(KEY) != key:
            continue
        if task.get("annotations") or task.get("drafts"):
            kept.append(row)
            continue
        before_write()
        delete_task(client, row.id)
    return sorted(kept, key=lambda row: row.id)


def _annotator(annotation: dict[str, Any]) -> str:
    by = annotation.get("completed_by")
    return str(by.get("email") or by.get("id")) if isinstance(by, dict) else str(by)


def _prediction(question: Question, excerpt: Excerpt) -> MaskArray | None:
    """What is predicted inside the sample, of the excerpt's size; None if nothing is shown."""
    if question.prediction is None:
        return None
    if question.prediction.shape != (question.height, question.width):
        raise ValueError(f"the prediction of {question.key} is {question.prediction.shape}")
    return excerpt.cut(question.prediction)


def _granularity(key: str) -> Granularity | None:
    """Of the sample that a key ends with; None for a key of another kind."""
    try:
        return Sample.parse(key.rpartition("/")[2]).granularity
    except ValueError:
        return None


def _prediction_result(task: dict[str, Any], parent: Any) -> Any:
    """The regions that the annotator was shown: the prediction the annotation began with, else the first."""
    predictions = [p for p in task.get("predictions") or [] if isinstance(p, dict)]
    began_with = [p for p in predictions if p.get("id") == parent] or predictions[:1]
    return began_with[0].get("result") if began_with else None


def _prefixes(keys: Collection[str]) -> list[str | None]:
    """Parts of keys by which the server narrows a listing (video/round/); [None], everything, if they cannot help."""
    prefixes = {key.rpartition("/")[0] + "/" if "/" in key else "" for key in keys}
    # only letters that every database compares alike; more prefixes than this cost more than one full listing
    safe = all(p and _PREFIX_CHARACTERS.issuperset(p) for p in prefixes)
    return sorted(prefixes) if safe and len(prefixes) <= _MANY_PREFIXES else [None]  # type: ignore[return-value]


def _chunks(tasks: Sequence[dict[str, Any]], most_bytes: int) -> Iterator[list[dict[str, Any]]]:
    """Consecutive tasks whose JSON stays under `most_bytes`, at least one per chunk."""
    chunk: list[dict[str, Any]] = []
    size = 0
    for task in tasks:
        length = len(json.dumps(task))
        if chunk and size + length > most_bytes:
            yield chunk
            chunk, size = [], 0
        chunk.append(task)
        size += length
    if chunk:
        yield chunk
