"""Tasks in which people paint: how a question is put into one, and the answer read from an annotation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.label_studio.annotated import annotator_name
from connectors.label_studio.excerpts import Excerpt, excerpt_of_data
from connectors.label_studio.labeling_config import VERDICT, VERDICTS
from connectors.label_studio.regions import prediction_regions, read_result
from connectors.labeling_tool import Answer, Effort
from workspace.mask import MaskArray

log = logging.getLogger(__name__)

NOTE = "note"  # of a task's data: what its person is told
MODEL_VERSION = "fewclicks"  # one for all: a project pre-fills annotations from one version only


def painting_task(
    excerpt: Excerpt, shown: MaskArray | None, labels: Sequence[str], background: int | None
) -> dict[str, Any]:
    """A task in Label Studio's JSON. `shown`: (box height, box width) uint8, the prediction; None to show none."""
    task: dict[str, Any] = {"data": excerpt.data()}
    if shown is not None:
        result = prediction_regions(shown, labels, background)
        task["predictions"] = [{"model_version": MODEL_VERSION, "result": result}]
    return task


def painted_answer(
    key: str,
    task: Mapping[str, Any],
    annotation: Mapping[str, Any],
    ids: Mapping[str, int],
    background: int | None,
    where: str,
    effort: Effort | None,
) -> Answer:
    """What one annotation says. `ids`: class id by label text; `where`: the address of the task, for the log.

    A region that cannot be read is left out and logged. A task whose data somebody has broken counts as skipped.
    """
    skipped = bool(annotation.get("was_cancelled"))
    mask, changed, verdict = None, None, None
    if not skipped:
        try:
            excerpt = excerpt_of_data(task.get("data"))
        except ValueError as error:
            log.warning("The annotations of %s count as skipped: %s.", where, error)
            skipped = True
        else:
            predicted = _prediction_result(task, annotation.get("parent_prediction"))
            height, width = excerpt.inside.shape
            verdict, painted = without_verdict(annotation.get("result"))
            reading = read_result(painted, predicted, height, width, ids, background)
            mask, changed = excerpt.placed(reading.mask), reading.changed_regions
            if reading.problems:
                log.warning("Parts of %s, annotation %s, were left out: %s", where, annotation["id"], reading.problems)
    return Answer(
        key=key,
        annotation=str(annotation["id"]),
        annotator=annotator_name(annotation),
        mask=mask,
        skipped=skipped,
        seconds=float(annotation.get("lead_time") or 0.0),
        finished_at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        changed_regions=changed,
        effort=effort,
        verdict=verdict,
        raw={**annotation, "task": task["id"]},
    )


def without_verdict(result: Any) -> tuple[str | None, Any]:
    """Which verdict of a review was chosen, None if none was, and the rest of a result."""
    if not isinstance(result, list):
        return None, result
    mine = [region for region in result if isinstance(region, dict) and region.get("from_name") == VERDICT]
    chosen = [region["value"].get("choices") for region in mine if isinstance(region.get("value"), dict)]
    told = [names[0] for names in chosen if isinstance(names, list) and len(names) == 1 and names[0] in VERDICTS]
    return (told[-1] if told else None), [region for region in result if region not in mine]


def _prediction_result(task: Mapping[str, Any], parent: Any) -> Any:
    """The regions that the annotator was shown: the prediction the annotation began with, else the first."""
    predictions = [p for p in task.get("predictions") or [] if isinstance(p, dict)]
    began_with = [p for p in predictions if p.get("id") == parent] or predictions[:1]
    return began_with[0].get("result") if began_with else None
