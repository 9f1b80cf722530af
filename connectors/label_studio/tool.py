"""Label Studio as the labeling tool of the loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from connectors.label_studio.client import (
    TaskRow,
    annotated_tasks,
    connected,
    list_tasks,
    project_or_none,
    task_or_none,
)
from connectors.label_studio.effort import Efforts
from connectors.label_studio.importing import KEY, Importing, prefixes_of, rows_by_key
from connectors.label_studio.labeling_config import class_ids, label_texts, labeling_config
from connectors.label_studio.project import NEW_PROJECT_HINT, find_or_create_project, find_project, load_record
from connectors.label_studio.regions import prediction_regions, read_result
from connectors.labeling_tool import Answer, LabelingTool, Progress, Question
from workspace.config import ClassConfig
from workspace.errors import UserError
from workspace.sample import Granularity

log = logging.getLogger(__name__)

MODEL_VERSION = "fewclicks"  # one for all: a project pre-fills annotations from one version only
_FEW = 20  # answers read one by one (0.1 s each) rather than with all of their round (5 ms each)


class LabelStudioTool(LabelingTool):
    """Questions become tasks of one project; brush and polygon regions become masks.

    url, api_key     the server, and a personal or legacy access token
    title            of the project that is made at the first push
    classes          labels and colours; `background` (a class name) is what unpainted pixels get at pull
    files_root       LOCAL_FILES_DOCUMENT_ROOT of the server; the images lie under it
    workspace_root   images are served from its first-level folders
    project_file     remembers the project; default workspace_root/label-studio-project.json
    batch            most tasks in one import request
    people_url       where people go if that is not `url` (the proxy that counts clicks); effort_file: what it counted

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
        people_url: str | None = None,
        effort_file: Path | None = None,
    ) -> None:
        names = [c.name for c in classes]
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._title = title
        self._labels = label_texts(names)
        self._ids = class_ids(names)
        self._background = None if background is None else names.index(background)
        self._config = labeling_config(classes)
        self._files_root = files_root.resolve()
        self._workspace_root = workspace_root.resolve()
        self._project_file = project_file or workspace_root / "label-studio-project.json"
        self._batch = batch
        self._people_url = (people_url or url).rstrip("/")
        self._effort_file = effort_file

    # what the loop needs

    granularities = frozenset({Granularity.FRAME})

    def push(self, questions: Iterable[Question], before_write: Callable[[], None]) -> int:
        waiting = iter(questions)
        first = next(waiting, None)
        if first is None:
            return 0
        with connected(self.url, self._api_key) as client:
            found = find_or_create_project(
                client, self.url, self._project_file, self._title, self._config, before_write, first.opinions
            )
            importing = Importing(client, int(found.id), int(found.maximum_annotations or 1), before_write, self._batch)
            # one by one: a question holds a mask, its task the mask's JSON, and there may be thousands
            for question in chain([first], waiting):
                if importing.is_missing(question.key, question.opinions):
                    task = self._task(question)
                    self._serve_folder(client, importing, question, before_write)
                    importing.add(question.key, question.opinions, task)
            importing.finish()
            self._show_predictions(client, importing.project, before_write)
        return importing.added

    def progress(self, keys: Collection[str]) -> Progress:
        if not keys:
            return Progress(frozenset(), frozenset(), frozenset())
        with connected(self.url, self._api_key) as client:
            project = self._known_project(client)
            tasks = self._tasks_by_key(client, project, keys)
            # the listing of a project that was deleted meanwhile looks empty: that must not read as "all gone"
            if len(tasks) < len(set(keys)) and project_or_none(client, project) is None:
                self._known_project(client)
        wanted = frozenset(keys)
        answered = frozenset(key for key, copies in tasks.items() if _complete(copies))
        return Progress(answered, frozenset(tasks) - answered, wanted - frozenset(tasks))

    def pull(self, keys: Collection[str]) -> Iterator[Answer]:
        if not keys:
            return
        with connected(self.url, self._api_key) as client:
            project = self._known_project(client)
            efforts = Efforts(self._effort_file)
            for key, task, annotation in self._annotated(client, project, keys):
                effort = efforts.of(int(task["id"]), annotation)
                yield replace(self._answer(key, project, task, annotation), effort=effort)

    def link(self, keys: Collection[str]) -> str:
        project = self.project_id()
        return self._people_url if project is None else f"{self._people_url}/projects/{project}/data?labeling=1"

    # beyond the protocol

    def project_id(self) -> int | None:
        """The id of the project as last seen; None before the first push. Asks nobody."""
        record = load_record(self._project_file)
        return None if record is None else record.project

    def check(self) -> str:
        """Address and version of the server, after a request that needs the token. ToolUnavailable otherwise."""
        with connected(self.url, self._api_key) as client:
            client.users.whoami()
            version = client.versions.get()
        return f"{self.url} (Label Studio {getattr(version, 'release', None) or 'unknown'})"

    def forget_project(self) -> None:
        """The next push makes a new project; the old one, if it still exists, is left as it is."""
        self._project_file.unlink(missing_ok=True)

    # push

    def _show_predictions(self, client: Any, project: int, before_write: Callable[[], None]) -> None:
        """Name the version that pre-fills annotations: accepted only once a prediction of that version is there."""
        now = client.projects.get(project)
        if now.model_version != MODEL_VERSION and (now.total_predictions_number or 0) > 0:
            before_write()
            client.projects.update(project, model_version=MODEL_VERSION)

    def _task(self, question: Question) -> dict[str, Any]:
        if question.sample.granularity is not Granularity.FRAME:
            raise ValueError(f"{question.key}: this connector asks about whole frames only")
        try:
            place = question.image.resolve().relative_to(self._files_root)
        except ValueError:
            raise UserError(
                f"{question.image} is not under {self._files_root}, so Label Studio cannot show it.",
                "Set label_studio.files_root to the server's LOCAL_FILES_DOCUMENT_ROOT, a folder above the images.",
            ) from None
        task: dict[str, Any] = {
            "data": {
                "image": f"/data/local-files/?d={quote(place.as_posix(), safe='/')}",
                KEY: question.key,
                "video": question.video,
                "video_name": question.video_name,
                "round": question.round,
                "frame": question.sample.frame,
                "sample": question.sample.key,
                "height": question.height,
                "width": question.width,
                "model": question.model,
            }
        }
        if question.prediction is not None:
            if question.prediction.shape != (question.height, question.width):
                raise ValueError(f"the prediction of {question.key} is {question.prediction.shape}")
            result = prediction_regions(question.prediction, self._labels, self._background)
            task["predictions"] = [{"model_version": MODEL_VERSION, "result": result}]
        return task

    def _serve_folder(
        self, client: Any, importing: Importing, question: Question, before_write: Callable[[], None]
    ) -> None:
        """A local storage row for the folder that the image lies in; without one the server answers 404 for it."""
        folder = self._served_folder(question.image.resolve())
        if folder in importing.served:
            return
        project = importing.project
        served = {str(storage.path).rstrip("/") for storage in client.import_storage.local.list(project=project)}
        if str(folder) not in served:
            before_write()
            client.import_storage.local.create(
                project=project, path=str(folder), title="fewclicks frames", use_blob_urls=True
            )
        importing.served.add(folder)

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

    def _known_project(self, client: Any) -> int:
        project = find_project(client, self.url, self._project_file)
        if project is None:
            raise UserError(f"This workspace has no Label Studio project at {self.url}.", NEW_PROJECT_HINT)
        return int(project.id)

    def _tasks_by_key(
        self, client: Any, project: int, keys: Collection[str], before_write: Callable[[], None] = lambda: None
    ) -> dict[str, list[TaskRow]]:
        """The tasks of each key that has any, without surplus copies; several only where people answered several."""
        wanted = frozenset(keys)
        rows = (row for prefix in prefixes_of(wanted) for row in list_tasks(client, project, prefix))
        return rows_by_key(client, rows, wanted, before_write)

    def _annotated(
        self, client: Any, project: int, keys: Collection[str]
    ) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Key, task and annotation of every answer, as the server's own JSON; those of one key by annotation id.

        Page by page, so that thousands of masks never lie in memory together; the few keys with several tasks are read
        one by one, and so is everything where little is wanted of much.
        """
        tasks = self._tasks_by_key(client, project, keys)
        finished = {key: [row for row in rows if row.finished] for key, rows in tasks.items()}
        single = {rows[0].id: key for key, rows in finished.items() if len(rows) == 1}
        several = {key: rows for key, rows in finished.items() if len(rows) > 1}
        if len(single) <= _FEW:
            several |= {key: finished[key] for key in single.values()}
        else:
            emails = {int(user.id): str(user.email) for user in client.users.list()}
            for prefix in prefixes_of(keys):
                for task in annotated_tasks(client, project, prefix):
                    key = single.pop(int(task["id"]), None)
                    for annotation in _in_order(task) if key is not None else ():
                        by = annotation.get("completed_by")
                        person = {"id": by, "email": emails.get(by)} if isinstance(by, int) else by
                        yield str(key), task, {**annotation, "completed_by": person}
        for key, rows in several.items():
            details = [detail for row in rows if (detail := task_or_none(client, row.id)) is not None]
            found = [(annotation, detail) for detail in details for annotation in _in_order(detail)]
            for annotation, detail in sorted(found, key=lambda item: int(item[0]["id"])):
                yield key, detail, annotation

    def _answer(self, key: str, project: int, task: dict[str, Any], annotation: dict[str, Any]) -> Answer:
        size = _size(task)
        where = f"{self.url}/projects/{project}/data?task={task['id']}"
        skipped = bool(annotation.get("was_cancelled"))
        mask, changed = None, None
        if size is None:
            log.warning("%s has lost its height and width; its annotations count as skipped.", where)
            skipped = True
        elif not skipped:
            predicted = _prediction_result(task, annotation.get("parent_prediction"))
            reading = read_result(annotation.get("result"), predicted, *size, self._ids, self._background)
            mask, changed = reading.mask, reading.changed_regions
            if reading.problems:
                log.warning("Parts of %s, annotation %s, were left out: %s", where, annotation["id"], reading.problems)
        by = annotation.get("completed_by")
        return Answer(
            key=key,
            annotation=str(annotation["id"]),
            annotator=str(by.get("email") or by.get("id")) if isinstance(by, dict) else str(by),
            mask=mask,
            skipped=skipped,
            seconds=float(annotation.get("lead_time") or 0.0),
            finished_at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
            changed_regions=changed,
            raw={**annotation, "task": task["id"], "project": project},
        )


def _complete(copies: Sequence[TaskRow]) -> bool:
    """Whether the tasks of one key have answers of as many different people as were asked."""
    people = {person for row in copies for person in row.annotators}
    # an answer whose annotator has been removed from the server has no id, and counts as one
    opinions = max(len(people), any(row.finished for row in copies))
    return opinions >= max(row.overlap for row in copies)


def _in_order(task: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(task.get("annotations") or [], key=lambda annotation: int(annotation["id"]))


def _size(task: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width as they were pushed; None if somebody edited them away."""
    data = task.get("data") or {}
    height, width = data.get("height"), data.get("width")
    if isinstance(height, int) and isinstance(width, int) and min(height, width) >= 1:
        return height, width
    return None


def _prediction_result(task: dict[str, Any], parent: Any) -> Any:
    """The regions that the annotator was shown: the prediction the annotation began with, else the first."""
    predictions = [p for p in task.get("predictions") or [] if isinstance(p, dict)]
    began_with = [p for p in predictions if p.get("id") == parent] or predictions[:1]
    return began_with[0].get("result") if began_with else None
