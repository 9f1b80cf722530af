"""Finding wrong labels: known mistakes planted into a tenth of good ones, and how soon a review would come to them.

python -m benchmarks.errors FOLDER... --seeds 3 --weights mobilenet_v2.pth --out errors.json

A label is the mask of one frame; a planted mistake concerns one object of it. Per kind of mistake and signal: precision
in the first tenth of the order (chance is 10 %), and the area under the curve (chance is 50 %). The model's signals
take one fit per set of labels; --model-seeds says for how many of the seeds. `cleanlab` is the package's own softmin
score on the same probabilities, measured where it is installed (pip install "fewclicks[peers]"). What was wrong in
the labels before is not known here and counts as a false alarm.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.options import benchmark_parser, check_writable, run_benchmark, settings_of, write_result
from connectors.measured_folder import MeasuredFolder, open_measured_folder
from flows.frame_files import FlowFiles, FrameFiles
from flows.measured_video import measured_video
from flows.reviewing import CONTRADICTION, DOUBT, MOST, SHIFT, to_review
from propagation.held_out import Opinion, opinions, witnesses
from quality.contradiction import Contradictions, above_usual, contradictions, hidden_contradictions, uncovered, unusual
from quality.planted_errors import KINDS
from quality.review_order import area_under_curve, precision_at, review_order
from quality.suspicion import Regions, disbelief, doubts, regions_of, shift
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN, MaskArray
from workspace.video import Video

SHARE = 0.1
ALL, FLOW, CLEANLAB = "all together", "flow together", "cleanlab"
_REACH = 5  # labeled frames on each side that a wrong label can be a witness for

Planted = tuple[dict[int, MaskArray], frozenset[int]]  # labels, and the frames of the wrong ones
Scores = dict[str, NDArray[np.float64]]  # per signal (N,)


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    if options.seeds < 1 or options.every < 1:
        raise UserError("--seeds and --every must be at least 1.")
    folders = [open_measured_folder(path) for path in options.folders]
    segmenter = settings_of(options).segmenter if options.model_seeds else None
    results = []
    for folder in folders:
        Console(stderr=True).print(f"{folder.name}: {options.seeds} seeds")
        results.append(measure(folder, options, segmenter))
    summary = summarize(results)
    _print(summary)
    write_result(options.out, {"summary": summary, "videos": results})


def measure(folder: MeasuredFolder, options: argparse.Namespace, segmenter: SegmenterConfig | None) -> dict[str, Any]:
    """All kinds and seeds on one video."""
    settings = settings_of(options).propagation
    classes = len(folder.classes)
    with measured_video(folder, settings) as measured:
        video, frames, flow = measured.video, measured.frames, measured.flow
        truth = {index: folder.truth(index) for index in range(0, video.frames, options.every)}
        clock = _Clock()
        measured.fill_flow()
        flow_seconds = clock.lap()
        to_review(frames, truth, flow, classes, segmenter, settings, {}, lambda part: None)
        seconds = clock.lap()
        sets = plant(truth, classes, options.seeds, options.seed)
        scores = _by_flow(truth, sets, flow, video)
        runs = []
        for (kind, seed), (labels, wrong) in sets.items():
            found = scores[kind, seed]
            if segmenter is not None and seed < options.model_seeds:
                found |= _by_model(frames, labels, classes, segmenter, settings)
            runs.append({"kind": kind, "seed": seed, "wrong": sorted(wrong), "signals": judged(found, labels, wrong)})
    return {
        "data": folder.name, "labels": len(truth), "runs": runs, "flow_seconds": flow_seconds, "scoring_seconds":
        seconds,
    }  # fmt: skip


def plant(truth: Mapping[int, MaskArray], classes: int, seeds: int, first: int) -> dict[tuple[str, int], Planted]:
    """Per kind and seed the labels with mistakes in a tenth of them; a kind that this video has no place for is left
    out."""
    sets: dict[tuple[str, int], Planted] = {}
    for kind, make in KINDS.items():
        for seed in range(seeds):
            rng = np.random.default_rng((first, seed))
            wrong: dict[int, MaskArray] = {}
            for index in rng.permutation(sorted(truth)).tolist():
                if len(wrong) == max(1, round(SHARE * len(truth))):
                    break
                changed = make(truth[index], classes, rng)
                if changed is not None:
                    wrong[index] = changed
            if wrong:
                sets[kind, seed] = {**truth, **wrong}, frozenset(wrong)
    return sets


def _by_flow(
    truth: Mapping[int, MaskArray], sets: Mapping[tuple[str, int], Planted], flow: FlowFiles, video: Video
) -> dict[tuple[str, int], Scores]:
    """The signals from flow, for all sets in one pass: where witnesses come from does not depend on what labels say."""
    order = sorted(truth)
    place = {index: number for number, index in enumerate(order)}
    found: dict[tuple[str, int], list[Contradictions]] = {key: [] for key in sets}
    hidden: dict[tuple[str, int], list[Contradictions]] = {key: [] for key in sets}
    shifted: dict[tuple[str, int], list[float]] = {key: [] for key in sets}
    for one in witnesses(truth, flow, (video.height, video.width), lambda part: None):
        here = place[one.frame]
        near = set(order[max(0, here - _REACH) : here + _REACH + 1])
        usual: tuple[Contradictions, Contradictions, float] | None = None
        for key, (labels, wrong) in sets.items():
            if near & wrong or usual is None:
                label = labels[one.frame] if near & wrong else truth[one.frame]
                told = one.read((labels if near & wrong else truth).__getitem__)
                regions = regions_of(label)
                values = (
                    contradictions(label, told, regions), hidden_contradictions(label, told, regions),
                    shift(label, told, regions).score,
                )  # fmt: skip
                usual = usual if near & wrong else values
            else:
                values = usual
            found[key].append(values[0])
            hidden[key].append(values[1])
            shifted[key].append(values[2])
    return {
        key: {
            CONTRADICTION: np.array([sign.score for sign in unusual(uncovered(found[key], hidden[key]))]),
            SHIFT: np.array(shifted[key]),
        }
        for key in sets
    }


def _by_model(
    frames: FrameFiles,
    labels: Mapping[int, MaskArray],
    classes: int,
    segmenter: SegmenterConfig,
    settings: PropagationConfig,
) -> Scores:
    believed: list[tuple[NDArray[np.float64], Regions]] = []
    cleanlab = _cleanlab()
    peers: list[float] = []
    for said in opinions(frames, labels, classes, segmenter, settings, lambda part: None):
        label = labels[said.frame]
        regions = regions_of(label)
        believed.append((disbelief(label, said.model, said.classes, regions), regions))
        if cleanlab is not None:
            peers.append(cleanlab(label, said))
    out = {DOUBT: np.array([sign.score for sign in doubts(believed)])}
    return out | ({CLEANLAB: np.array(peers)} if peers else {})


def judged(found: Scores, labels: Mapping[int, MaskArray], wrong: frozenset[int]) -> dict[str, dict[str, float]]:
    """Precision in the first tenth and area under the curve of each signal, of ours together, and of chance."""
    bad = np.array([index in wrong for index in sorted(labels)])
    ours = {name: values for name, values in found.items() if name != CLEANLAB}
    ours[CONTRADICTION] = above_usual(ours[CONTRADICTION])  # as `flows.reviewing` orders them
    flow = {name: values for name, values in ours.items() if name != DOUBT}
    together = {FLOW: review_order(flow, MOST).suspicion}
    if DOUBT in ours:
        together[ALL] = review_order(ours, MOST).suspicion
    out = {"random": {"precision": float(bad.mean()), "auc": 0.5}}
    for name, values in (found | together).items():
        order = np.argsort(-values, kind="stable")
        out[name] = {"precision": precision_at(order, bad, SHARE), "auc": area_under_curve(values, bad)}
    return out


def summarize(results: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Per kind and signal the mean over videos of the mean over seeds."""
    out: dict[str, dict[str, dict[str, float]]] = {}
    for kind in KINDS:
        for name in ("random", CLEANLAB, DOUBT, CONTRADICTION, SHIFT, FLOW, ALL):
            of_video = []
            for result in results:
                some = [r["signals"][name] for r in result["runs"] if r["kind"] == kind and name in r["signals"]]
                if some:
                    of_video.append({key: float(np.mean([one[key] for one in some])) for key in ("precision", "auc")})
            if of_video:
                values = {key: round(float(np.mean([v[key] for v in of_video])), 4) for key in ("precision", "auc")}
                out.setdefault(kind, {})[name] = values | {"videos": len(of_video)}
    return out


def _cleanlab() -> Callable[[MaskArray, Opinion], float] | None:
    """1 less cleanlab's quality of a label, if cleanlab is installed."""
    if importlib.util.find_spec("cleanlab") is None:
        return None
    from cleanlab.segmentation.rank import get_label_quality_scores

    def score(label: MaskArray, said: Opinion) -> float:
        channel = np.zeros(256, np.int64)
        channel[list(said.classes)] = np.arange(len(said.classes))
        # it knows no unknown pixels: they get the class that the model finds most likely
        given = np.where(label == UNKNOWN, said.model.argmax(axis=0), channel[label])
        quality, _ = get_label_quality_scores(given[None], said.model[None], n_jobs=1, verbose=False)
        return 1 - float(quality[0])

    return score


class _Clock:
    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def lap(self) -> dict[str, float]:
        """Seconds on the wall and of all cores together since the last lap."""
        wall, cpu = self._wall, self._cpu
        self._wall, self._cpu = time.monotonic(), time.process_time()
        return {"wall": round(self._wall - wall, 2), "cpu": round(self._cpu - cpu, 2)}


def _print(summary: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    names = list(dict.fromkeys(name for signals in summary.values() for name in signals))
    table = Table("mistake", *names, title="Precision in the first tenth / area under the curve")
    for kind, signals in summary.items():
        cells = (f"{s['precision']:.0%} / {s['auc']:.2f}" if (s := signals.get(n)) else "-" for n in names)
        table.add_row(kind.replace("_", " "), *cells)
    Console().print(table)


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("errors", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="video.mp4 or frames/, masks/, meta.json"
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="sets of planted mistakes per kind")
    parser.add_argument("--model-seeds", type=int, default=1, metavar="N", help="of these with a model; 0: flow alone")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="label every Nth frame")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
