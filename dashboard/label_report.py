"""Two label sets side by side as one page that needs nothing else: tables, plots and pictures inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from quality.comparison import SIZES, Comparison, Difference, fit_exponential
from quality.contour import stretches
from quality.matching import KINDS

FIRST, SECOND, WORST = (213, 94, 0), (0, 114, 178), (204, 0, 120)  # Okabe & Ito 2008, and a magenta for the worst place
_PICTURE_PX = 260
_MARGIN = 0.2

Picture = Callable[[str], NDArray[np.uint8] | None]
"""Image name to (H, W, 3) uint8 RGB, or None where there is no picture."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1060px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; } td, th { padding: .25em .8em; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; padding-left: 0; }
.pictures { display: flex; flex-wrap: wrap; gap: 14px; } figure { margin: 0; width: 260px; }
figcaption { font-size: .82em; color: #444; overflow-wrap: anywhere; } .note { color: #555; }
.a { color: #d55e00; } .b { color: #0072b2; } .w { color: #cc0078; } img { max-width: 100%; }
.confusion { overflow-x: auto; } .confusion td.same { color: #999; }
"""


def label_report(
    names: tuple[str, str],
    classes: Sequence[str],
    found: Comparison,
    summary: dict[str, Any],
    picture: Picture,
    pictures: int = 16,
) -> str:
    """The HTML.

    summary: as `flows.comparing` makes it;  picture: what to draw the largest differences on;  pictures: how many
    Names come from outside and are escaped.
    """
    a, b = (escape(name) for name in names)
    parts = [
        f"<h1><span class=a>{a}</span> and <span class=b>{b}</span></h1>",
        _images_line(summary),
        "<h2>What they hold</h2>", _sets(summary, (a, b)),
        "<h2>Matches</h2>", _matches(summary, (a, b)), _figure(_match_figure(summary)),
        "<h2>Agreement</h2>", _agreement(summary, (a, b)),
        "<h2>Contour distance</h2>", _distances(summary), _figure(_distance_figure(found)),
        "<h2>Classes of matched instances</h2>", _confusion(found, classes, (a, b)),
    ]  # fmt: skip
    if "rubric" in summary:
        parts += ["<h2>Rubric</h2>", _rubric(summary["rubric"], (a, b))]
    shown = [_shown(d, classes, picture) for d in found.largest(pictures) if d.iou < 1]
    parts += [
        "<h2>Largest differences</h2>",
        f"<p class=note><span class=a>Orange</span>: {a}. <span class=b>Blue</span>: {b}. A"
        " <span class=w>ring</span> marks where the contour is worst.</p>",
        f"<div class=pictures>{''.join(shown)}</div>" if shown else "<p>There are none.</p>",
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang=en><meta charset="utf-8"><meta name=viewport content="width=device-width">'
        f"<title>{a} and {b}</title><style>{_STYLE}</style>\n<body>{body}</body></html>\n"
    )


def _images_line(summary: dict[str, Any]) -> str:
    images = summary["images"]
    left = [f"{images[key]} only in the {where}" for key, where in
            (("only_first", "first"), ("only_second", "second")) if images[key]]  # fmt: skip
    crowded = f" {summary['crowded']} crowded classes of an image are left out." if summary["crowded"] else ""
    return f"<p>{images['both']} images in both sets{', ' + ', '.join(left) if left else ''}.{crowded}</p>"


def _sets(summary: dict[str, Any], names: tuple[str, str]) -> str:
    one, other = summary["sets"]
    rows = [("instances", "instances"), ("crowds", "crowds"), ("vertices", "polygon vertices"),
            ("ignored", "ignored as too small"), ("very_small", "very small (at most 10x10 px)")]  # fmt: skip
    lines = [[label, one[key], other[key]] for key, label in rows if one[key] or other[key]]
    for size, limit in zip(SIZES, ("below 32x32 px", "below 96x96 px", "from 96x96 px"), strict=True):
        lines.append([f"{size} ({limit})", *(_with_share(s["by_size"][size], s["instances"]) for s in (one, other))])
    return _table(["", *names, "difference"], [[*line, _change(line[1], line[2])] for line in lines])


def _with_share(count: int, total: int) -> str:
    return f"{count} ({count / total:.1%})" if total else str(count)


def _change(one: object, other: object) -> str:
    before, after = (int(str(value).split()[0]) for value in (one, other))
    return f"{after - before:+d}" + (f" (x{after / before:.2f})" if before else "")


def _matches(summary: dict[str, Any], names: tuple[str, str]) -> str:
    limits = summary["thresholds"]
    total = max(1, sum(summary["matches"][kind] for kind in KINDS))
    what = {
        "confident": f"IoU at least {limits['confident_iou']:g}", "ambiguous": "one partner, below that",
        "multiple": "several could be meant", "none": f"nothing overlaps by {limits['least_iou']:g}",
    }  # fmt: skip
    lines = [
        [f"{kind}: {what[kind]}", summary["matches"][kind], f"{summary['matches'][kind] / total:.1%}"] for kind in KINDS
    ]
    lines.append([f"in {names[1]} alone", summary["matches"]["second_unmatched"], ""])
    return _table([f"instances of {names[0]}", "count", "share"], lines)


def _agreement(summary: dict[str, Any], names: tuple[str, str]) -> str:
    values = summary["agreement"]
    heads = {"ap": "mAP", "ap50": "AP 50", "ap75": "AP 75", "small": "small", "medium": "medium", "large": "large",
             "precision": "precision", "recall": "recall", "f": "F"}  # fmt: skip
    cells = ["-" if values[key] is None else f"{100 * values[key]:.1f}" for key in heads]
    note = (
        f"<p class=note>{names[1]} is the reference; precision, recall, F at IoU 0.5. Every instance has score 1.</p>"
    )
    return _table(list(heads.values()), [cells]) + note


def _distances(summary: dict[str, Any]) -> str:
    heads = ["instances", "mean", "median", "p90", "p95", "max", "exponential_ks"]
    lines = [
        [size, *("-" if values.get(key) is None else f"{values[key]:g}" for key in heads)]
        for size, values in summary["contour_distance_px"].items()
    ]
    note = (
        "<p class=note>In pixels, per matched instance of one class: the mean distance between both contours (the"
        " published figure is this divided by the root of 2). The fitted exponential has the same mean; the last column"
        " is its largest difference to the data's distribution, 0 for a perfect fit.</p>"
    )
    return _table(["size", *heads[:-1], "KS"], lines) + note


def _confusion(found: Comparison, classes: Sequence[str], names: tuple[str, str]) -> str:
    held = np.flatnonzero(found.confusion.sum(axis=0) + found.confusion.sum(axis=1))
    if not held.size:
        return "<p>Nothing matched.</p>"
    differing = [k for k in held if found.confusion[k].sum() + found.confusion[:, k].sum() > 2 * found.confusion[k, k]]
    if not differing:
        return f"<p>All {int(np.trace(found.confusion))} matched instances have the same class in both.</p>"
    shown = differing[:30]
    head = "".join(f"<th>{escape(classes[j])}</th>" for j in shown)
    lines = [
        f"<tr><td>{escape(classes[i])}</td>"
        + "".join(f"<td{' class=same' if i == j else ''}>{int(found.confusion[i, j]) or ''}</td>" for j in shown)
        + "</tr>"
        for i in shown
    ]
    note = f"<p class=note>Rows: {names[0]}, columns: {names[1]}; classes that are never confused are left out.</p>"
    return f"<div class=confusion><table><tr><th></th>{head}</tr>{''.join(lines)}</table></div>{note}"


def _rubric(rubric: dict[str, Any], names: tuple[str, str]) -> str:
    whole = rubric["all"]
    text = (
        f"<p>{names[0]}, judged by {names[1]}: <b>{escape(whole['verdict'])}</b>, mark {whole['score']:.1%}."
        f" {escape(whole['reason'])}</p>"
    )
    text += _table(["verdict", "images"], [[verdict, count] for verdict, count in rubric["verdicts"].items()])
    worst = [one for one in rubric["images"] if one["reason"]][:15]
    if worst:
        lines = [[escape(one["image"]), f"{one['score']:.0%}", one["verdict"], escape(one["reason"])] for one in worst]
        text += "<p>The worst images:</p>" + _table(["image", "mark", "verdict", "reason"], lines)
    return text


def _shown(d: Difference, classes: Sequence[str], picture: Picture) -> str:
    away = "no partner" if d.second is None else f"mean {d.distance.mean_px:.1f} px, max {d.distance.max_px:.0f} px"
    other = "" if d.second is None or d.second.class_id == d.first.class_id else f" / {classes[d.second.class_id]}"
    where = f"{d.image}, at x {d.first.x}, y {d.first.y}"
    caption = f"{escape(classes[d.first.class_id] + other)}: {away}, IoU {d.iou:.2f}<br>{escape(where)}"
    return f"<figure>{_image(draw_difference(d, picture(d.image)))}<figcaption>{caption}</figcaption></figure>"


def draw_difference(d: Difference, image: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """(h, w, 3) uint8: both contours on the piece of the image around them, or on grey, enlarged to 260 px at most."""
    both = [d.first] if d.second is None else [d.first, d.second]
    top, left = min(one.y for one in both), min(one.x for one in both)
    bottom = max(one.y + one.mask.shape[0] for one in both)
    right = max(one.x + one.mask.shape[1] for one in both)
    pad = round(_MARGIN * max(bottom - top, right - left)) + 3
    top, left, bottom, right = top - pad, left - pad, bottom + pad, right + pad
    canvas: NDArray[np.uint8] = np.full((bottom - top, right - left, 3), 235, np.uint8)
    if image is not None:
        y, x, y_end, x_end = max(0, top), max(0, left), min(bottom, image.shape[0]), min(right, image.shape[1])
        if y < y_end and x < x_end:
            canvas[y - top : y_end - top, x - left : x_end - left] = image[y:y_end, x:x_end]
    scale = min(8.0, _PICTURE_PX / max(canvas.shape[:2]))
    size = (max(1, round(canvas.shape[1] * scale)), max(1, round(canvas.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    canvas = np.ascontiguousarray(cv2.resize(canvas, size, interpolation=how), np.uint8)
    for one, color in zip(both, (FIRST, SECOND), strict=False):
        mask = np.zeros((bottom - top, right - left), np.uint8)
        mask[one.y - top : one.y - top + one.mask.shape[0], one.x - left : one.x - left + one.mask.shape[1]] = one.mask
        enlarged = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(enlarged, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, color, 2)
    if d.second is not None:
        pairs = (d.first, d.second), (d.second, d.first)
        worst = max((stretches(one, other)[0] for one, other in pairs), key=lambda s: s.mean_px)
        at = round((worst.x + 0.5 - left) * scale), round((worst.y + 0.5 - top) * scale)
        cv2.circle(canvas, at, 13, WORST, 2, cv2.LINE_AA)
    return canvas


def _match_figure(summary: dict[str, Any]) -> Figure:
    figure, axes = _axes(6, 1.9)
    counts = [summary["matches"][kind] for kind in KINDS]
    axes.barh(KINDS[::-1], counts[::-1], color="#0072b2")
    axes.set_xlabel("instances of the first set")
    return figure


def _distance_figure(found: Comparison) -> Figure | None:
    values = found.distances()
    fit = fit_exponential(values)
    if not fit.count or fit.mean == 0:
        return None
    figure, axes = _axes(7.5, 3.2)
    edges = np.linspace(0, max(float(np.quantile(values, 0.99)), 1.0), 41)
    axes.hist(values, edges, density=True, color="#bcd4e6", label=f"{fit.count} matched instances")
    axes.plot(
        edges, np.exp(-edges / fit.mean) / fit.mean, color="#d55e00", label=f"exponential, mean {fit.mean:.2f} px"
    )
    axes.set_xlabel("mean contour distance (px)")
    axes.set_ylabel("density")
    axes.legend(frameon=False)
    return figure


def _axes(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return ""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return _embedded(buffer.getvalue())


def _image(rgb: NDArray[np.uint8]) -> str:
    return _embedded(cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes())


def _embedded(png: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'


def _table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Cells are HTML already."""
    rows = ["".join(f"<td>{cell}</td>" for cell in line) for line in lines]
    return f"<table><tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>{''.join(f'<tr>{r}</tr>' for r in rows)}</table>"
