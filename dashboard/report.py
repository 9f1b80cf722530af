"""The report for whoever ordered the labels: one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dashboard.checks import truth_tables, witnesses
from dashboard.intervals import Interval, miou_interval, usual_block
from dashboard.overview import per_answer
from dashboard.pictures import expected_errors, sample_jpeg, worst_frames
from dashboard.projection import Point
from dashboard.round_summary import KINDS, Round, summarize_rounds
from dashboard.savings import baseline
from dashboard.templates import templates
from workspace.colors import class_colors, hex_color
from workspace.config import Config
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import read_mask
from workspace.layout import Layout
from workspace.mask import UNKNOWN, MaskArray
from workspace.tallies import Work
from workspace.video import Video

SEED = 0  # of the intervals
_SAMPLES = 8
_WORST = 4
_WIDTH = 640
_ROUNDS_SHOWN = 40
_FIRST_ROUNDS = 10
_PROGRAMS = (
    "fewclicks",
    "torch",
    "torchvision",
    "opencv-contrib-python-headless",
    "numpy",
    "scikit-learn",
    "faiss-cpu",
)

Truth = Mapping[int, Callable[[], MaskArray | None]]


@dataclass(frozen=True, slots=True)
class Checked:
    """A measured quality: of the masks of which round, on what, and how sure."""

    judged: int
    on: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class ClassShare:
    """Shares of the pixels: in the newest masks, and of all that people labeled."""

    name: str
    color: str
    masks: float
    labels: float


def report(
    layout: Layout,
    config: Config,
    facts: Facts,
    video: Video,
    truth: Truth | None,
    beat: Callable[[float], None],
    now: float,
) -> str:
    """The HTML. UserError if the video has no masks yet.

    truth: frame -> what reads its true mask, where somebody has some;  beat: called with the fraction done
    """
    propagated, scored = facts.last_event(video.id, "propagated"), facts.last_event(video.id, "scored")
    if propagated is None:
        raise UserError(
            f"{video.id} has no masks yet.", "Go on with `fewclicks run`, and report when a round is through."
        )
    model = str(propagated.payload["model"])
    events = sorted((e for kind in KINDS for e in facts.events(video.id, kind)), key=lambda event: event.id)
    rounds = summarize_rounds(events, facts.rounds(video.id))
    classes, colors = config.project.class_names, class_colors(config.project.classes)
    tally, work = facts.tally(video.id), (facts.work((), video.id) or [Work(video.id, "", "")])[0]
    cost = baseline(video.frames, work, propagated.payload, None if scored is None else scored.payload)
    labels = list(facts.events(video.id, "label"))
    rng = np.random.default_rng(SEED)
    checks = [
        Checked(
            one.judged,
            f"{len(one.frames)} frames that people labeled in round {one.round}",
            miou_interval(one.tables, rng),
        )
        for one in witnesses(layout, video, rounds, labels, len(classes))
    ]
    beat(0.3)
    if truth:
        tables = truth_tables(layout, video, model, dict(truth), len(classes))
        if len(tables):
            found = miou_interval(tables, rng, usual_block(len(tables)))
            checks.append(Checked(propagated.round, f"the true masks of {len(tables)} frames", found))
    beat(0.6)
    errors = expected_errors(layout, video, model)
    spread = np.unique(np.linspace(0, video.frames - 1, min(_SAMPLES, video.frames)).round().astype(int)).tolist()
    worst = worst_frames(errors, _WORST) if errors is not None else []

    def shown(frame: int) -> str:
        return _embedded(sample_jpeg(layout, video, model, frame, _WIDTH, colors), "image/jpeg")

    values = {
        "project": config.project.name,
        "video": video,
        "now": now,
        "parts": abridged(rounds),
        "granularities": sorted({one.granularity for one in rounds if one.granularity}),
        "tally": tally,
        "work": work,
        "people": len({e.payload["annotator"] for e in labels if e.payload.get("source") != "imported"}),
        "imported": sum(e.payload.get("source") == "imported" for e in labels),
        "labeled": min(1.0, tally.pixels / (video.frames * video.width * video.height)),
        "seconds_per_answer": per_answer(work),
        "baseline": cost,
        "saved": cost.saved(tally.clicks) if cost is not None else None,
        "estimated": propagated.payload.get("estimated_miou"),
        "checks": checks,
        "selective": any(one.strategy not in ("uniform", "random") for one in rounds),
        "shares": _shares(layout, video, model, labels, classes, colors),
        "curve": _embedded(_curve(rounds), "image/png") if any(one.estimated is not None for one in rounds) else "",
        "errors": _embedded(_errors(errors, rounds), "image/png") if errors is not None else "",
        "samples": [(frame, shown(frame)) for frame in spread],
        "worst": [(frame, float(errors[frame]) if errors is not None else 0.0, shown(frame)) for frame in worst],
        "model": model,
        "versions": [(name, version(name)) for name in _PROGRAMS],
        "settings": _settings(config),
        "interval_seed": SEED,
    }
    beat(1.0)
    return templates().get_template("report.html").render(values)


def _shares(
    layout: Layout, video: Video, model: str, labels: Sequence[Any], classes: Sequence[str], colors: NDArray[np.uint8]
) -> list[ClassShare]:
    in_masks, in_labels = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for index in range(video.frames):
        in_masks += np.bincount(read_mask(layout.masks(video.id, model) / f"{index:06d}.png").ravel(), minlength=256)
    files = {event.payload["file"] for event in labels if event.payload.get("file")}
    for file in sorted(files):
        path = (layout.video(video.id) / str(file)).resolve()
        if path.is_relative_to(layout.labels(video.id).resolve()) and path.is_file():
            in_labels += np.bincount(read_mask(path).ravel(), minlength=256)
    in_masks[UNKNOWN] = in_labels[UNKNOWN] = 0
    return [
        ClassShare(
            name, hex_color(colors[k]), in_masks[k] / max(1, in_masks.sum()), in_labels[k] / max(1, in_labels.sum())
        )
        for k, name in enumerate(classes)
    ]


def _settings(config: Config) -> list[tuple[str, str]]:
    """Everything that the masks depend on; of paths the last part only, nothing about servers."""
    rows = []
    for section in ("frames", "selection", "labeling", "stopping", "segmenter", "propagation"):
        for key, value in getattr(config, section).model_dump().items():
            text = Path(value).name if key in ("weights", "flow_weights") and value else str(value)
            rows.append((f"{section}.{key}", "null" if value is None else text))
    return rows


def abridged(rounds: Sequence[Round]) -> tuple[Sequence[Round], Sequence[Round], Sequence[Round]]:
    """The first rounds, those that are only summed up, and the last ones; of few rounds none is summed up."""
    if len(rounds) <= _ROUNDS_SHOWN:
        return rounds, [], []
    last = len(rounds) - (_ROUNDS_SHOWN - _FIRST_ROUNDS)
    return rounds[:_FIRST_ROUNDS], rounds[_FIRST_ROUNDS:last], rounds[last:]


def _curve(rounds: Sequence[Round]) -> bytes:
    points, trues, clicks = [], [], 0
    for one in rounds:
        clicks += one.clicks
        if one.estimated is not None:
            points.append(Point(clicks, one.estimated, one.at))
        if one.true is not None:
            trues.append((clicks, one.true))
    figure, axes = _axes(7.4, 3.0)
    axes.plot([p.clicks for p in points], [100 * p.quality for p in points], "o-", color="#0072b2", label="estimated")
    if trues:
        axes.plot([x for x, _ in trues], [100 * y for _, y in trues], "s-", color="#009e73", label="true")
    axes.set_xlabel("clicks spent (modelled)")
    axes.set_ylabel("mean IoU (%)")
    axes.set_xlim(left=0)
    axes.legend(frameon=False)
    return _png(figure)


def _errors(errors: NDArray[np.float32], rounds: Sequence[Round]) -> bytes:
    figure, axes = _axes(7.4, 2.4)
    axes.plot(100 * errors, color="#d55e00", label="pixels expected wrong")
    asked = sorted({frame for one in rounds for frame in one.frames if frame < len(errors)})
    axes.plot(asked, 100 * errors[asked], "o", color="#009e73", markersize=4, label="asked about")
    axes.set_xlabel("frame")
    axes.set_ylabel("%")
    axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    return _png(figure)


def _axes(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.7)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _embedded(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
