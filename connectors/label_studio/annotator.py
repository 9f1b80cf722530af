"""A simulated annotator who works through the server's API, sending what the browser would send."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

from connectors.label_studio.bucket_links import SCHEME, asked_at
from connectors.label_studio.client import TaskRow, connected, list_tasks, task_or_none
from connectors.label_studio.excerpts import KEY, Excerpt, excerpt_of_data
from connectors.label_studio.labeling_config import class_ids, label_texts
from connectors.label_studio.regions import CHANGED, MANUAL, UNTOUCHED, brush_region, read_result
from connectors.label_studio.tiles import (
    CANNOT_TELL,
    SEVERAL,
    TILES,
    tile_answers,
    tile_choice,
    tile_of_data,
    tile_options,
)
from connectors.labeling_tool import Question
from workspace.config import ClassConfig
from workspace.errors import UserError
from workspace.files import write_array
from workspace.mask import UNKNOWN, MaskArray


class LabelStudioAnnotator:
    """Answers the open tasks of one project, of either kind, the oldest first.

    As the user `person` (an id), else as the token's.
    In tiles it chooses the class if the answer has one, and "more than one class" if several.

    It loads each image from the server first, as a browser would (UserError if the server does not deliver it), and
    begins with the shown prediction: untouched regions keep the origin "prediction", changed ones become
    "prediction-changed", new ones are "manual", wrong ones are removed. `lead_time` is the time it really took.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        project: int,
        classes: tuple[ClassConfig, ...],
        background: str | None = None,
        person: int | None = None,
    ) -> None:
        names = [c.name for c in classes]
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._project = project
        self._person = person
        self._labels = label_texts(names)
        self._ids = class_ids(names)
        self._options = tile_options(names)
        self._background = None if background is None else names.index(background)

    def play(self, annotator: Callable[[Question], MaskArray | None], limit: int | None = None) -> int:
        """Answer every open task, or the first `limit`, by `annotator` (None skips the task). Returns how many."""
        with connected(self.url, self._api_key) as client:
            person = int(client.users.whoami().id) if self._person is None else self._person
            rows = [r for r in list_tasks(client, self._project) if KEY in r.data and is_open_for(r, person)]
            done = 0
            for row in rows[:limit]:
                task = task_or_none(client, row.id)
                if task is not None:
                    self._answer(client, task, annotator)
                    done += 1
        return done

    def _answer(self, client: Any, task: dict[str, Any], annotator: Callable[[Question], MaskArray | None]) -> None:
        began = time.monotonic()
        shown = (task.get("predictions") or [None])[0]
        predicted = None if shown is None else shown["result"]
        answering = self._choices if TILES in task["data"] else self._regions
        result = answering(client, task, predicted, annotator)
        fields: dict[str, Any] = {"lead_time": round(time.monotonic() - began, 3)}
        if self._person is not None:
            fields["completed_by"] = self._person
        if shown is not None:
            fields["parent_prediction"] = shown["id"]
        if result is None:
            client.annotations.create(id=task["id"], result=[], was_cancelled=True, **fields)
        else:
            client.annotations.create(id=task["id"], result=result, **fields)

    def _regions(
        self, client: Any, task: dict[str, Any], predicted: Any, annotator: Callable[[Question], MaskArray | None]
    ) -> list[dict[str, Any]] | None:
        """What is painted; None if the question is skipped."""
        excerpt = excerpt_of_data(task["data"])
        self._load_image(client, task, excerpt.image)
        height, width = excerpt.inside.shape
        shown = None
        if predicted is not None:
            shown = read_result(predicted, predicted, height, width, self._ids, self._background).mask
        with _question(excerpt, None if shown is None else excerpt.placed(shown)) as question:
            mask = annotator(question)
        return None if mask is None else corrected_regions(shown, excerpt.cut(mask), self._labels, self._background)

    def _choices(
        self, client: Any, task: dict[str, Any], predicted: Any, annotator: Callable[[Question], MaskArray | None]
    ) -> list[dict[str, Any]]:
        """What is chosen for each tile: "can't tell" where the question is skipped or nothing is said about it."""
        before = tile_answers(predicted, self._options)
        result = []
        for index, part in enumerate(task["data"][TILES]):
            tile = tile_of_data(part)
            self._load_image(client, task, tile.excerpt.image)
            shown = tile.excerpt.placed(tile.shown)
            with _question(tile.excerpt, None if tile.predicted is None else shown) as question:
                mask = annotator(question)
            said = set() if mask is None else set(np.unique(tile.excerpt.cut(mask)[tile.excerpt.inside]).tolist())
            answer = CANNOT_TELL if said <= {UNKNOWN} else SEVERAL if len(said) > 1 else said.pop()
            origin = MANUAL if index not in before else UNTOUCHED if before[index] == answer else CHANGED
            result.append(tile_choice(index, self._options[answer], origin))
        return result

    def _load_image(self, client: Any, task: dict[str, Any], address: str) -> None:
        if address.startswith(SCHEME):  # a browser is given this address instead, and sent on by it
            address = asked_at(task["id"], address)
        wrapper = client._client_wrapper
        http: httpx.Client = wrapper.httpx_client.httpx_client
        response = http.get(self.url + address, headers=wrapper.get_headers())
        if response.status_code != 200 or not response.headers.get("content-type", "").startswith("image/"):
            raise UserError(
                f"Label Studio does not deliver {address} ({response.status_code}).",
                "Its folder needs a local storage row under LOCAL_FILES_DOCUMENT_ROOT, a bucket one of type S3.",
            )


def is_open_for(row: TaskRow, person: int) -> bool:
    """Whether Label Studio would still show this task to this person: wanted by more people, and not theirs yet."""
    people = len(row.annotators) or row.finished
    return people < row.overlap and person not in row.annotators


@contextmanager
def _question(excerpt: Excerpt, prediction: MaskArray | None) -> Iterator[Question]:
    """The question as it was asked. The superpixels' file lasts as long: this one has its number, all others -1."""
    with TemporaryDirectory() as folder:
        superpixels = None
        if excerpt.sample.superpixel is not None:
            superpixels = Path(folder) / "superpixels.npy"
            inside = excerpt.filled(0) == 0
            write_array(superpixels, np.where(inside, np.int32(excerpt.sample.superpixel[1]), np.int32(-1)))
        yield Question(
            key=excerpt.key,
            video=excerpt.video,
            video_name=excerpt.video_name,
            round=excerpt.round,
            sample=excerpt.sample,
            image=Path(excerpt.image),
            height=excerpt.height,
            width=excerpt.width,
            prediction=prediction,
            model=excerpt.model,
            superpixels=superpixels,
        )


def corrected_regions(
    shown: MaskArray | None, answer: MaskArray, labels: tuple[str, ...], background: int | None
) -> list[dict[str, Any]]:
    """The regions an annotator submits who turns the prediction `shown` into `answer`, one per class, in class order.

    shown, answer: (H, W) uint8, 255 = nothing; the background class is not drawn.
    """
    before = np.full_like(answer, UNKNOWN) if shown is None else shown
    result = []
    for k in (int(k) for k in np.unique(answer) if k not in (UNKNOWN, background)):
        pixels, was = answer == k, before == k
        origin = UNTOUCHED if np.array_equal(pixels, was) else CHANGED if was.any() else MANUAL
        result.append(brush_region(f"class{k}", labels[k], pixels, origin))
    return result
