"""Precision, recall, F and mean average precision of one label set against another, by COCO's own evaluation."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from workspace.instance import Instance

_IOU_50, _IOU_75 = 0, 5  # places in 0.5, 0.55, ... 0.95


@dataclass(frozen=True, slots=True)
class Agreement:
    """NaN where the reference holds nothing to find.

    ap: mean average precision over IoU 0.5 to 0.95 and classes;  ap50, ap75: at one IoU;  small, medium, large: `ap` of
    these;  precision, recall, f: of all instances together at IoU 0.5
    """

    ap: float
    ap50: float
    ap75: float
    small: float
    medium: float
    large: float
    precision: float
    recall: float
    f: float


def agreement(images: Iterable[tuple[Sequence[Instance], Sequence[Instance], int, int]], classes: int) -> Agreement:
    """How well labels agree with a reference.

    images: per image the judged instances, those of the reference, its height and its width
    People give no scores, so each judged instance counts the same (score 1, as the published comparison does): a
    class has one point on its precision-recall curve. Lin et al. 2014, arXiv:1405.0312; pycocotools.
    """
    truth, judged = COCO(), []
    truth.dataset = {
        "info": {}, "images": [], "annotations": [], "categories": [{"id": k + 1, "name": str(k)} for k in
        range(classes)],
    }  # fmt: skip
    most = 1
    for number, (some, reference, height, width) in enumerate(images, start=1):
        truth.dataset["images"].append({"id": number, "height": height, "width": width})
        for one in reference:
            entry = _entry(one, number, height, width) | {"iscrowd": int(one.crowd)}
            truth.dataset["annotations"].append(entry | {"id": len(truth.dataset["annotations"]) + 1})
        judged += [_entry(one, number, height, width) | {"score": 1.0} for one in some if not one.crowd]
        most = max(most, len(some))
    if not truth.dataset["annotations"] or not judged:
        nothing = float("nan") if not truth.dataset["annotations"] else 0.0
        return Agreement(*[nothing] * 9)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(judged), "segm")
        evaluation.params.maxDets = [1, 10, max(100, most)]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # (IoU, recall, class, area, most): -1 where there is nothing to find
    hits, false_alarms, wanted = _counts(evaluation)
    found = hits / (hits + false_alarms) if hits + false_alarms else float("nan")
    recalled = hits / wanted if wanted else float("nan")
    f = 2 * hits / (hits + false_alarms + wanted) if hits + false_alarms + wanted else float("nan")
    ap, small, medium, large = (_mean(precision[:, :, :, area, -1]) for area in range(4))
    ap50, ap75 = (_mean(precision[at, :, :, 0, -1]) for at in (_IOU_50, _IOU_75))
    return Agreement(ap, ap50, ap75, small, medium, large, found, recalled, f)


def _entry(one: Instance, image: int, height: int, width: int) -> dict[str, object]:
    runs = rle.encode(np.asfortranarray(one.on(height, width), np.uint8))
    box = [float(v) for v in rle.toBbox(runs)]
    return {
        "image_id": image, "category_id": one.class_id + 1, "segmentation": runs, "area": float(rle.area(runs)),
        "bbox": box,
    }  # fmt: skip


def _counts(evaluation: COCOeval) -> tuple[int, int, int]:
    """True positives, false positives and what there was to find, at IoU 0.5, over all classes and sizes."""
    hits = false_alarms = wanted = 0
    whole = evaluation.params.areaRng[0]
    for one in evaluation.evalImgs:
        if one is None or one["aRng"] != whole:
            continue
        judged = ~np.asarray(one["dtIgnore"][_IOU_50], bool)
        matched = np.asarray(one["dtMatches"][_IOU_50]) > 0
        hits += int((matched & judged).sum())
        false_alarms += int((~matched & judged).sum())
        wanted += int((np.asarray(one["gtIgnore"]) == 0).sum())
    return hits, false_alarms, wanted


def _mean(values: NDArray[np.float64]) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else float("nan")
