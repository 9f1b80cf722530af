"""Two label sets side by side: read both, compare, grade one by the other, and say it in numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from connectors.label_sets import LabeledImage, LabelSet, mask_set, open_label_set
from flows.labels import LabelSet as ProjectLabels
from flows.labels import labels_from_events
from quality.average_precision import agreement
from quality.comparison import SIZES, Comparison, Thresholds, compare, fit_exponential
from quality.rubric import Mistake, grade, grade_batch, mistakes
from workspace.config import RubricConfig
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.instance import Instance
from workspace.layout import Layout

Beat = Callable[[float], None]


@dataclass(frozen=True, slots=True, eq=False)
class ComparedSets:
    """comparison: with class ids that are indices of `classes`;  summary: JSON values only, what report.json holds"""

    names: tuple[str, str]
    classes: tuple[str, ...]
    comparison: Comparison
    summary: dict[str, Any]


def open_sources(texts: Sequence[str], without: tuple[str, ...] = ()) -> list[LabelSet]:
    """The label sets of `texts`; UserError if none of them has a class that is to be left out."""
    found = [open_source(text, without) for text in texts]
    known = list(dict.fromkeys(name for one in found for name in one.classes))
    unknown = [name for name in without if name not in known]
    if unknown:
        raise UserError(
            f"There is no class {unknown[0]!r} in {' or '.join(dict.fromkeys(one.name for one in found))}.",
            f"Classes are {', '.join(known)}.",
        )
    return found


def open_source(text: str, without: tuple[str, ...] = ()) -> LabelSet:
    """A label set by what a user calls it: a COCO file, a folder of masks, or DIR@ANNOTATOR of a project."""
    if "@" not in text or Path(text).exists():
        return open_label_set(Path(text), without)
    # annotators are mail addresses, and folders may hold an @ too: the first that leaves a folder divides them
    places = [i for i, character in enumerate(text) if character == "@"]
    at = next((i for i in places if Path(text[:i]).is_dir()), places[0])
    return _annotators_labels(Path(text[:at]), text[at + 1 :], without)


def compare_sets(
    first: LabelSet,
    second: LabelSet,
    thresholds: Thresholds,
    rubric: RubricConfig,
    reference: bool,
    beat: Beat,
) -> ComparedSets:
    """Compare the images that both sets hold; UserError if there are none.

    reference: whether the second set is the truth; then the first is graded too
    """
    shared = [key for key in first.images if key in second.images]
    if not shared:
        raise UserError(
            f"{first.name} and {second.name} have no image in common.",
            f"Images meet by file name without ending: {_some(first)} against {_some(second)}.",
        )
    classes = (*first.classes, *(name for name in second.classes if name not in first.classes))
    if not set(first.classes) & set(second.classes):
        raise UserError(
            f"{first.name} and {second.name} have no class in common.",
            f"Classes meet by name: {', '.join(first.classes[:5])} against {', '.join(second.classes[:5])}.",
        )
    rename = [classes.index(name) for name in second.classes]
    sizes: list[tuple[list[Instance], list[Instance], int, int]] = []

    def images() -> Iterator[tuple[str, list[Instance], list[Instance]]]:
        for number, key in enumerate(shared):
            one, other = first.images[key](), second.images[key]()
            _check_sizes(key, one, other)
            mine = list(one.instances)
            theirs = [replace(i, class_id=rename[i.class_id]) for i in other.instances]
            sizes.append((mine, theirs, one.height, one.width))
            yield key, mine, theirs
            beat((number + 1) / len(shared))

    comparison = compare(images(), len(classes), thresholds)
    names = _distinct(first.name, second.name)
    summary = _summary(comparison, names, classes) | {
        "images": {"both": len(shared), "only_first": len(first.images) - len(shared),
                   "only_second": len(second.images) - len(shared)},
        "thresholds": asdict(thresholds),
        "agreement": _finite(asdict(agreement(sizes, len(classes)))) | {"reference": names[1]},
    }  # fmt: skip
    if reference:
        summary["rubric"] = _grades(shared, sizes, classes, rubric)
    return ComparedSets(names, classes, comparison, summary)


def _summary(found: Comparison, names: tuple[str, str], classes: tuple[str, ...]) -> dict[str, Any]:
    differing = [
        {"first": classes[i], "second": classes[j], "instances": int(found.confusion[i, j])}
        for i, j in sorted(zip(*np.nonzero(found.confusion), strict=True), key=lambda p: (-found.confusion[p], p))
        if i != j
    ]
    return {
        "sets": [
            {"name": name, **asdict(counts), "by_class": {classes[k]: n for k, n in sorted(counts.by_class.items())}}
            for name, counts in zip(names, found.counts, strict=True)
        ],
        "matches": found.matches | {"second_unmatched": len(found.unmatched)},
        "crowded": found.crowded,
        "classes_differ": differing,
        "same_class": int(np.trace(found.confusion)),
        "contour_distance_px": {
            size or "all": _distances(found, size) for size in (None, *SIZES)
        },
        "largest_differences": [
            {"image": d.image, "first": classes[d.first.class_id],
             "second": None if d.second is None else classes[d.second.class_id],
             "y": d.first.y, "x": d.first.x, "iou": round(d.iou, 4), "kind": d.kind,
             **_finite({"mean_px": d.distance.mean_px, "max_px": d.distance.max_px})}
            for d in found.largest(50)
        ],
    }  # fmt: skip


def _distances(found: Comparison, size: str | None) -> dict[str, Any]:
    values = found.distances(size)
    fit = fit_exponential(values)
    if not fit.count:
        return {"instances": 0}
    quantiles = np.quantile(values, (0.5, 0.9, 0.95))
    return _finite(
        {"instances": fit.count, "mean": fit.mean, "median": quantiles[0], "p90": quantiles[1], "p95": quantiles[2],
         "max": values.max(), "exponential_mean": fit.mean, "exponential_ks": fit.ks,
         "scaled_mean": fit.mean / math.sqrt(2)}
    )  # fmt: skip


def _grades(
    shared: list[str],
    sizes: list[tuple[list[Instance], list[Instance], int, int]],
    classes: tuple[str, ...],
    rubric: RubricConfig,
) -> dict[str, Any]:
    """The rubric's marks: of each image, of each video (the part of an image's name before its last /), of all."""
    found: dict[str, list[Mistake]] = {}
    videos: dict[str, dict[str, list[Mistake]]] = {}
    ids: dict[str, dict[str, str | None]] = {}
    for key, (mine, theirs, _, _) in zip(shared, sizes, strict=True):
        video = key.rpartition("/")[0]
        found[key] = mistakes(mine, theirs, rubric, ids.setdefault(video, {}))
        videos.setdefault(video, {})[key] = found[key]
    marks = {key: grade(some, rubric) for key, some in found.items()}
    verdicts = [mark.verdict for mark in marks.values()]
    worst = sorted(shared, key=lambda key: (marks[key].score, key))
    return {
        "all": asdict(grade_batch(found, rubric)),
        "verdicts": {verdict: verdicts.count(verdict) for verdict in ("pass", "look again", "redo")},
        "videos": {video: asdict(grade_batch(some, rubric)) for video, some in videos.items() if video},
        "images": [
            {"image": key, **asdict(marks[key]),
             "mistakes": [asdict(m) | {"class_id": classes[m.class_id]} for m in found[key]]}
            for key in worst
        ],
        "settings": rubric.model_dump(),
    }  # fmt: skip


def _annotators_labels(folder: Path, annotator: str, without: tuple[str, ...]) -> LabelSet:
    layout = Layout(folder.resolve())
    config = layout.config()
    masks, seen = {}, set()
    with Facts.of(layout) as facts:
        for row in facts.videos():
            labels = labels_from_events(facts.events(row.video.id, "label"))
            seen |= {label.annotator for label in labels}
            own = ProjectLabels(layout.video(row.video.id), [label for label in labels if label.annotator == annotator])
            for index in own:
                masks[f"{row.video.id}/{index:06d}"] = lambda own=own, index=index: own[index]
    if not masks:
        raise UserError(
            f"{folder} has no labels by {annotator!r}.",
            f"Labels are there by {', '.join(sorted(seen))}." if seen else "Nobody has labeled anything there yet.",
        )
    return mask_set(annotator, config.project.class_names, masks, without)


def _check_sizes(key: str, one: LabeledImage, other: LabeledImage) -> None:
    if (one.height, one.width) != (other.height, other.width):
        raise UserError(
            f"Image {key!r} is {one.width}x{one.height} in one set and {other.width}x{other.height} in the other.",
            "Both must label the same pixels.",
        )


def _distinct(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first != second else (f"{first} (A)", f"{second} (B)")


def _some(one: LabelSet) -> str:
    return ", ".join(list(one.images)[:2])


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Rounded; null for what is infinite or not a number, which JSON does not know."""
    return {key: round(float(v), 4) if math.isfinite(v) else None for key, v in values.items()}
