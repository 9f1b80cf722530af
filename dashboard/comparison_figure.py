"""Several strategies side by side in one picture: quality over the share of clicks, a line per strategy."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from workspace.files import write_bytes

# Okabe & Ito 2008: told apart by everybody; the marks tell them apart without colour too
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
_MARKS = "osD^vP*X"
_STEPS = 200

Run = Mapping[str, Any]
"""As in the result of `benchmarks.loop`: "strategy", "granularity" and "curve" with "share" and "miou"."""


def draw_comparison(path: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """Write a PNG with two panels, drawing each sample from nothing and correcting the shown prediction.

    results: per video, "data" and "runs", the same runs in the same order. Of several videos each line is the mean,
    over the shares that every video's curve reaches.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    names = ", ".join(result["data"] for result in results) if len(results) <= 3 else f"mean of {len(results)} videos"
    for axes, key, title in zip(panels, ("share", "share_corrected"), ("drawing", "correcting"), strict=True):
        _panel(axes, [result["runs"] for result in results], key)
        axes.set_title(f"{names.replace('$', chr(92) + '$')}: {title}", fontsize=10)
    panels[0].set_ylabel("mean IoU over all frames (%)")
    panels[0].legend(loc="lower right", frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    write_bytes(path, buffer.getvalue())


def _panel(axes: Axes, runs_of: Sequence[Sequence[Run]], key: str) -> None:
    for number, runs in enumerate(zip(*runs_of, strict=True)):
        share, miou = mean_curve([run["curve"] for run in runs], key)
        mark = _MARKS[number % len(_MARKS)] if len(runs) == 1 else ""
        label = f"{runs[0]['strategy']}, {runs[0]['granularity']}"
        axes.plot(share, miou, color=_COLORS[number % len(_COLORS)], marker=mark, markersize=4, label=label)
    axes.set_xlabel("share of the clicks for drawing every frame (%)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.set_xlim(left=0)
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)


def mean_curve(
    curves: Sequence[Sequence[Mapping[str, float]]], key: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share and mIoU of one line: of one curve its own points, of several the mean where all of them are known."""
    points = [(_column(curve, key), _column(curve, "miou")) for curve in curves]
    if len(points) == 1:
        return points[0]
    first, last = max(float(x[0]) for x, _ in points), min(float(x[-1]) for x, _ in points)
    share = np.linspace(first, last, _STEPS, dtype=np.float64) if first < last else np.zeros(0)
    return share, np.asarray(np.mean([np.interp(share, x, y) for x, y in points], axis=0), np.float64)


def mean_share_at(curves: Sequence[Sequence[Mapping[str, float]]], key: str, quality: float) -> float | None:
    """The share at which the mean curve first reaches `quality` (0 to 1); None if it never does, or begins above it."""
    share, miou = mean_curve(curves, key)
    reached = np.flatnonzero(miou >= quality)
    if not len(reached) or reached[0] == 0:
        return None
    after = int(reached[0])
    rise = float(miou[after] - miou[after - 1])
    return float(share[after - 1] + (share[after] - share[after - 1]) * ((quality - float(miou[after - 1])) / rise))


def _column(curve: Sequence[Mapping[str, float]], key: str) -> NDArray[np.float64]:
    return np.array([row[key] for row in curve], np.float64)
