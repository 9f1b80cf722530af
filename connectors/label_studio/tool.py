"""Label Studio as the labeling tool of the loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from connectors.label_studio.annotated import Asked, read_annotations
from connectors.label_studio.assist_connection import AssistAddress, connect_assist
from connectors.label_studio.bucket_files import BucketFiles
from connectors.label_studio.click_log import ClickLog
from connectors.label_studio.client import TaskRow, connected, list_tasks, project_or_none
from connectors.label_studio.effort import Efforts
from connectors.label_studio.excerpts import Excerpt
from connectors.label_studio.importing import Importing, prefixes_of, rows_by_key
from connectors.label_studio.labeling_config import class_ids, label_texts, labeling_config, review_config, tiles_config
from connectors.label_studio.listings import Listings
from connectors.label_studio.local_files import LocalFiles
from connectors.label_studio.painted import MODEL_VERSION, NOTE, painted_answer, painting_task
from connectors.label_studio.pictures import Pictures
from connectors.label_studio.project import NEW_PROJECT_HINT, find_or_create_project, find_project, load_record
from connectors.label_studio.tile_importing import TileImporting
from connectors.label_studio.tile_tasks import (
    Finer,
    answers_of_tiles,
    choosers_of,
    find_tile_tasks,
    painters_wanted,
    rows_by_tile,
    tiles_of_several,
)
from connectors.label_studio.tiles import Tile, tile_keys, tile_options
from connectors.labeling_tool import Answer, LabelingTool, Progress, Question
from workspace.config import ClassConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Granularity, Sample

log = logging.getLogger(__name__)


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
    review           labels are shown to be accepted, corrected or rejected, in a project of its own
    storage          s3://bucket/prefix to serve them from there; then files_root does not matter
    project_file     remembers the project; default workspace_root/label-studio-project.json, for tiles -tiles.json
    batch            most tasks in one import request
    tiles            how many superpixels go into one task
    tile_patches     ask for one class per patch in tiles too
    people_url       where people go if that is not `url` (the proxy that counts clicks); effort_file: what it counted
    click_file       what the help server saw of how annotations were clicked
    assist           the server that helps people to paint; None: none

    A tile with more than one class, says somebody, is asked again when we look next, as a picture to paint under the
    same key, of as many people as said so; its question stays open until that one is answered. One more opinion on a
    tile whose task is complete is such a picture too: the task would ask about all of its tiles.

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
        batch: int = 1000,
        tiles: int = 20,
        tile_patches: bool = False,
        people_url: str | None = None,
        effort_file: Path | None = None,
        click_file: Path | None = None,
        storage: str | None = None,
        review: bool = False,
        assist: AssistAddress | None = None,
    ) -> None:
        names = [c.name for c in classes]
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._labels = label_texts(names)
        self._ids = class_ids(names)
        self._background = None if background is None else names.index(background)
        self._options = tile_options(names)
        file = self._project_file = project_file or workspace_root / "label-studio-project.json"
        if review:  # a project of its own, in which labels are judged
            file = self._project_file = file.with_stem(f"{file.stem}-review")
            title = f"{title[:41]} (review)"
        config = review_config(classes) if review else labeling_config(classes, assist is not None)
        self._painting = Desk(file, title, config)
        # titles have room for 50 characters
        tiles_title = f"{title[:42]} (tiles)"
        self._choosing = Desk(file.with_stem(f"{file.stem}-tiles"), tiles_title, tiles_config(classes, tiles))
        self._batch = batch
        self._tiles = tiles
        self._chosen = {Granularity.SUPERPIXEL} | ({Granularity.PATCH} if tile_patches else set())
        self._listings = Listings(file.with_name(f".{file.stem}-seen"), self.url)
        self._files: LocalFiles | BucketFiles = (
            LocalFiles(files_root, workspace_root) if storage is None else BucketFiles(storage, workspace_root)
        )
        self._pictures = Pictures(workspace_root.resolve(), self._files.address)
        self._people_url = (people_url or url).rstrip("/")
        self._effort_file, self._click_file = effort_file, click_file
        self._assist = assist

    # what the loop needs

    granularities = frozenset(Granularity)

    def push(self, questions: Iterable[Question], before_write: Callable[[], None]) -> int:
        waiting = iter(questions)
        first = next(waiting, None)
        if first is None:
            return 0
        with connected(self.url, self._api_key) as client, ExitStack() as stack:
            painting: Importing | None = None
            choosing: TileImporting | None = None
            new = 0
            # one by one: a question holds a mask, its task the mask's JSON, and there may be thousands
            for question in chain([first], waiting):
                opinions = question.opinions
                in_tiles = question.sample.granularity in self._chosen
                if in_tiles:
                    if choosing is None:
                        importing = self._importing(client, self._choosing, opinions, before_write)
                        stack.enter_context(importing)
                        choosing = TileImporting(client, importing, self._tiles, self._options, before_write)
                    if not self._ask_to_choose(client, choosing, question, before_write):
                        continue
                if painting is None:
                    painting = self._importing(client, self._painting, opinions, before_write)
                    stack.enter_context(painting)
                if in_tiles and choosing is not None:
                    opinions = self._painters_of(client, choosing, painting, question)
                if opinions > 0:
                    new += self._ask_to_paint(client, painting, question, opinions, before_write) and not in_tiles
            if choosing is not None:
                choosing.finish()
                self._show_predictions(client, choosing.importing.project, before_write)
            if painting is not None:
                painting.finish()
                self._show_predictions(client, painting.project, before_write)
                connect_assist(client, painting.project, self._painting.file, self._assist, before_write)
        return new + (0 if choosing is None else choosing.added)

    def progress(self, keys: Collection[str]) -> Progress:
        wanted = frozenset(keys)
        if not wanted:
            return Progress(frozenset(), frozenset(), frozenset())
        with connected(self.url, self._api_key) as client:
            choosing, painting = self._known_projects(client)
            tiles: dict[str, list[TaskRow]] = {}
            if choosing is not None:
                listing = partial(self._listings.rows, keys=wanted)
                rows = find_tile_tasks(client, choosing, wanted, prefixes_of(wanted), listing=listing)
                tiles = rows_by_tile(rows)
                finer = self._finer(client, choosing, rows, wanted)
                if finer:
                    painting = self._ask_finer(client, painting, finer)
            painted = {}
            if painting is not None:
                listing = partial(self._listings.rows, keys=wanted)
                rows = [row for prefix in prefixes_of(wanted) for row in listing(client, painting, prefix)]
                painted = rows_by_key(client, rows, wanted, _go_on)
            found = wanted & (tiles.keys() | painted.keys())
            # the listing of a project that was deleted meanwhile looks empty: that must not read as "all gone"
            if found < wanted and any(
                project is not None and project_or_none(client, project) is None for project in (choosing, painting)
            ):
                self._known_projects(client)
        # a tile that is painted too is open until both tasks are complete
        answered = frozenset(
            key for key in found if all(_complete(tasks[key]) for tasks in (tiles, painted) if key in tasks)
        )
        return Progress(answered, found - answered, wanted - found)

    def pull(self, keys: Collection[str]) -> Iterator[Answer]:
        wanted = frozenset(keys)
        if not wanted:
            return
        with connected(self.url, self._api_key) as client:
            choosing, painting = self._known_projects(client)
            asked: list[Asked] = []
            if choosing is not None:
                rows = find_tile_tasks(client, choosing, wanted, prefixes_of(wanted))
                asked += _asked_in_tiles(choosing, rows, wanted)
            if painting is not None:
                by_key = self._tasks_by_key(client, painting, wanted)
                asked += [Asked(painting, row, frozenset({key})) for key, rows in by_key.items() for row in rows]
            efforts, clicks = Efforts(self._effort_file), ClickLog(self._click_file)
            for item, task, annotation in read_annotations(client, asked):
                effort = efforts.of(item.row.id, annotation)
                where = self._where(item.project, item.row.id)
                if item.project == choosing:
                    found = answers_of_tiles(task, annotation, item.keys, self._options, where, effort)
                else:
                    (key,) = item.keys
                    painted = painted_answer(key, task, annotation, self._ids, self._background, where, effort)
                    found = iter([replace(painted, clicked=clicks.of(item.row.id, annotation))])
                for answer in found:
                    yield replace(answer, raw={**answer.raw, "project": item.project})

    def link(self, keys: Collection[str]) -> str:
        painting, choosing = self.project_id(), self.tiles_project_id()
        base = self._people_url
        paint = base if painting is None else f"{base}/projects/{painting}/data?labeling=1"
        if choosing is None or not any(_granularity(key) in self._chosen for key in keys):
            return paint
        choose = f"{base}/projects/{choosing}/data?labeling=1"
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

    def _importing(self, client: Any, desk: Desk, opinions: int, before_write: Callable[[], None]) -> Importing:
        """Into the project of this desk, made if there is none yet."""
        project = find_or_create_project(client, self.url, desk.file, desk.title, desk.config, before_write, opinions)
        return Importing(client, int(project.id), int(project.maximum_annotations or 1), before_write, self._batch)

    def _ask_to_choose(
        self, client: Any, choosing: TileImporting, question: Question, before_write: Callable[[], None]
    ) -> bool:
        """Ask in tiles; True if it has been answered there by fewer people than wanted, and is to be painted."""
        if choosing.is_missing(question.key):
            excerpt = self._pictures.excerpt(question, tile=True)
            shown = _prediction(question, excerpt)
            unknown = np.full(excerpt.inside.shape, UNKNOWN, np.uint8)
            tile = Tile(excerpt, unknown if shown is None else shown, self._files.address(question.image))
            self._files.serve(client, choosing.importing, excerpt.image, before_write)
            choosing.add(tile, question.opinions)
            return False
        rows = choosing.tasks_of(question.key)
        if rows and _complete(rows):
            return question.opinions > max(row.overlap for row in rows)
        choosing.importing.ask_more(rows, question.opinions)
        return False

    def _painters_of(self, client: Any, choosing: TileImporting, painting: Importing, question: Question) -> int:
        """How many people must paint a tile that is to have more opinions than its task."""
        choosers = choosers_of(client, choosing.tasks_of(question.key), question.key, self._options)
        return painters_wanted(question.opinions, choosers, painting.people(question.key))

    def _ask_to_paint(
        self,
        client: Any,
        painting: Importing,
        question: Question,
        opinions: int,
        before_write: Callable[[], None],
    ) -> bool:
        """True if there was no such task yet."""
        missing = painting.is_missing(question.key, opinions)
        if missing:
            task = self._task(question)
            self._files.serve(client, painting, task["data"]["image"], before_write)
            painting.add(question.key, opinions, task)
        return missing

    def _task(self, question: Question) -> dict[str, Any]:
        excerpt = self._pictures.excerpt(question, tile=False)
        task = self._task_of(excerpt, _prediction(question, excerpt))
        return {**task, "data": task["data"] | {NOTE: question.note}} if question.note else task

    def _task_of(self, excerpt: Excerpt, shown: MaskArray | None) -> dict[str, Any]:
        return painting_task(excerpt, shown, self._labels, self._background)

    def _show_predictions(self, client: Any, project: int, before_write: Callable[[], None]) -> None:
        """Name the version that pre-fills annotations: accepted only once a prediction of that version is there."""
        now = client.projects.get(project)
        if now.model_version != MODEL_VERSION and (now.total_predictions_number or 0) > 0:
            before_write()
            client.projects.update(project, model_version=MODEL_VERSION)

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

    def _tasks_by_key(self, client: Any, project: int, keys: frozenset[str]) -> dict[str, list[TaskRow]]:
        """The tasks of each key that has any, without surplus copies; several only where people answered several."""
        rows = (row for prefix in prefixes_of(keys) for row in list_tasks(client, project, prefix))
        return rows_by_key(client, rows, keys, _go_on)

    # tiles that are painted after all

    def _finer(self, client: Any, project: int, rows: Sequence[TaskRow], wanted: frozenset[str]) -> dict[str, Finer]:
        """By key, the tiles that somebody says have more than one class."""
        asked = _asked_in_tiles(project, [row for row in rows if row.finished], wanted)
        if not asked:
            return {}
        several = tiles_of_several(
            client, project, asked, prefixes_of(wanted), self._options, lambda task: self._where(project, task)
        )
        return {key: finer for key, finer in several.items() if key in wanted}

    def _ask_finer(self, client: Any, painting: int | None, several: Mapping[str, Finer]) -> int:
        """Ask of as many people as wanted to paint them, unless that has been done; returns the project."""
        if painting is None:
            most = max(finer.painters_wanted(()) for finer in several.values())
            importing = self._importing(client, self._painting, most, _go_on)
        else:
            usual = int(client.projects.get(painting).maximum_annotations or 1)
            importing = Importing(client, painting, usual, _go_on, self._batch)
        with importing:
            for key, finer in several.items():
                opinions = finer.painters_wanted(importing.people(key))
                if importing.is_missing(key, opinions):
                    tile = finer.tile
                    excerpt = self._to_paint(tile)
                    shown = None if tile.predicted is None else excerpt.cut(tile.excerpt.placed(tile.shown))
                    self._files.serve(client, importing, excerpt.image, _go_on)
                    importing.add(key, opinions, self._task_of(excerpt, shown))
            importing.finish()
        if importing.added:
            self._show_predictions(client, importing.project, _go_on)
        return importing.project

    def _to_paint(self, tile: Tile) -> Excerpt:
        """A larger picture than the tile's; that one, should somebody have changed where the frame is."""
        try:
            return self._pictures.to_paint(tile.excerpt, self._files.path(tile.frame))
        except (UserError, ValueError) as error:
            log.warning("%s is asked again with the picture of its tile: %s", tile.excerpt.key, error)
            return tile.excerpt


def _complete(copies: Sequence[TaskRow]) -> bool:
    """Whether the tasks of one key have answers of as many different people as were asked."""
    people = {person for row in copies for person in row.annotators}
    # an answer whose annotator has been removed from the server has no id, and counts as one
    opinions = max(len(people), any(row.finished for row in copies))
    return opinions >= max(row.overlap for row in copies)


def _asked_in_tiles(project: int, rows: Sequence[TaskRow], wanted: frozenset[str]) -> list[Asked]:
    return [Asked(project, row, wanted.intersection(tile_keys(row.data))) for row in rows]


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
