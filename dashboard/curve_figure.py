"""One picture of a run: quality over the share of clicks spent, and some frames beside their truth."""

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
from workspace.mask import UNKNOWN, MaskArray

Shown = tuple[str, NDArray[np.uint8], MaskArray, MaskArray]  # title, picture (H, W, 3), truth (H, W), prediction (H, W)
_COLUMNS = ("frame", "truth", "prediction", "wrong pixels")
_ACCENT = "#1f5fa8"
_FEW = 6


def draw_rounds(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    frames: Sequence[Shown],
    colors: NDArray[np.uint8],
    title: str = "Quality over clicks",
    baseline: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write a PNG.

    rows: one per round with "round", "share" (of the clicks that drawing every frame would take, 0 to 1) and "miou" (0
    to 1), as `benchmarks.loop` gives them;  colors: (K, 3) uint8 RGB;  baseline: the same for warping along flow alone.
    Pixels without truth are black and never wrong.
    """
    height_in = 3.6 + 1.75 * len(frames)
    figure = Figure(figsize=(10, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    if not frames:
        _curve(figure.subplots(), rows, baseline, title)
    else:
        grid = figure.add_gridspec(2, 1, height_ratios=(3.6, height_in - 3.6))
        below = figure.add_subfigure(grid[1])
        _curve(figure.add_subfigure(grid[0]).subplots(), rows, baseline, title)
        axes = below.subplots(len(frames), len(_COLUMNS), squeeze=False)
        for line, (name, rgb, truth, prediction) in zip(axes, frames, strict=True):
            _frame(line, name, rgb, truth, prediction, colors)
        for axis, column in zip(axes[0], _COLUMNS, strict=True):
            axis.set_title(column, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_bytes(path, buffer.getvalue())


def _curve(axes: Axes, rows: Sequence[Mapping[str, Any]], baseline: Sequence[Mapping[str, Any]], title: str) -> None:
    if baseline:
        x, y = [r["share"] for r in baseline], [r["miou"] for r in baseline]
        axes.plot(x, y, "s--", color="#8a8a8a", markersize=4, linewidth=1.2, label="labels warped along flow alone")
    axes.plot([r["share"] for r in rows], [r["miou"] for r in rows], "o-", color=_ACCENT, linewidth=2, label="this run")
    for row in rows if len(rows) <= _FEW else (rows[0], rows[-1]):  # more would lie over each other
        axes.annotate(
            f"round {row['round']}: {row['miou']:.1%}",
            (row["share"], row["miou"]),
            xytext=(-4, 8),
            textcoords="offset points",
            horizontalalignment="right",
            fontsize=8,
            color=_ACCENT,
        )
    axes.set_title(_as_written(title), fontsize=12)
    axes.set_xlabel("share of the clicks for drawing every frame (%)")
    axes.set_ylabel("mean IoU over all frames (%)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.margins(x=0.12, y=0.15)
    axes.set_xlim(left=0)
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    if baseline:
        axes.legend(loc="lower right", frameon=False, fontsize=9)


def _frame(
    axes: Sequence[Axes],
    name: str,
    rgb: NDArray[np.uint8],
    truth: MaskArray,
    prediction: MaskArray,
    colors: NDArray[np.uint8],
) -> None:
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    wrong = (truth != prediction) & (truth != UNKNOWN)
    marked = (rgb // 3 + 120).astype(np.uint8)
    marked[wrong] = (214, 30, 40)
    for axis, picture in zip(axes, (rgb, table[truth], table[prediction], marked), strict=True):
        axis.imshow(picture, interpolation="nearest")
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_visible(False)
    judged = max(1, int((truth != UNKNOWN).sum()))
    axes[0].set_ylabel(_as_written(name), fontsize=9)
    axes[-1].set_xlabel(f"{wrong.sum() / judged:.1%} wrong", fontsize=9)


def _as_written(text: str) -> str:
    """Names come from outside: a dollar sign in them is no formula."""
    return text.replace("$", r"\$")
