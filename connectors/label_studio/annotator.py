"""A simulated annotator who works through the server's API, sending what the browser would send."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from connectors.label_studio.client import TaskRow, connected, is_loopback, list_tasks, task_or_none
from connectors.label_studio.importing import KEY
from connectors.label_studio.labeling_config import class_ids, label_texts
from connectors.label_studio.regions import CHANGED, MANUAL, UNTOUCHED, brush_region, read_result
from connectors.labeling_tool import Question
from workspace.config import ClassConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Sample


class LabelStudioAnnotator:
    """Answers the open tasks of one project, the oldest first; as the user `person` (an id), else as the token's.

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
        self._load_image(task["data"]["image"])
        shown = (task.get("predictions") or [None])[0]
        question = self._question(task["data"], None if shown is None else shown["result"])
        mask = annotator(question)
        fields: dict[str, Any] = {"lead_time": round(time.monotonic() - began, 3)}
        if self._person is not None:
            fields["completed_by"] = self._person
        if shown is not None:
            fields["parent_prediction"] = shown["id"]
        if mask is None:
            client.annotations.create(id=task["id"], result=[], was_cancelled=True, **fields)
        else:
            result = corrected_regions(question.prediction, mask, self._labels, self._background)
            client.annotations.create(id=task["id"], result=result, **fields)

    def _question(self, data: dict[str, Any], predicted: Any) -> Question:
        height, width = int(data["height"]), int(data["width"])
        prediction = None
        if predicted is not None:
            prediction = read_result(predicted, predicted, height, width, self._ids, self._background).mask
        return Question(
            key=data[KEY],
            video=data["video"],
            video_name=data["video_name"],
            round=int(data["round"]),
            sample=Sample.parse(data["sample"]),
            image=Path(data["image"]),
            height=height,
            width=width,
            prediction=prediction,
            model=data["model"],
        )

    def _load_image(self, address: str) -> None:
        with httpx.Client(timeout=60, trust_env=not is_loopback(self.url)) as http:
            response = http.get(self.url + address, headers={"Authorization": self._authorization()})
        if response.status_code != 200 or not response.headers.get("content-type", "").startswith("image/"):
            raise UserError(
                f"Label Studio does not deliver {address} ({response.status_code}).",
                "The folder needs a local storage row, under the server's LOCAL_FILES_DOCUMENT_ROOT.",
            )

    def _authorization(self) -> str:
        """As the SDK would send it: a personal token is exchanged for a short-lived one."""
        with connected(self.url, self._api_key) as client:
            return str(client._client_wrapper.get_headers()["Authorization"])


def is_open_for(row: TaskRow, person: int) -> bool:
    """Whether Label Studio would still show this task to this person: wanted by more people, and not theirs yet."""
    people = len(row.annotators) or row.finished
    return people < row.overlap and person not in row.annotators


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
