"""The event log as Prometheus metrics: read when somebody scrapes, so a restarted exporter forgets nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from dashboard.overview import VideoRow, add_work, video_rows
from workspace.facts import Facts
from workspace.states import Hold, State

# name without prefix, type, help with its unit; docs/dashboard.md lists the same
METRICS: tuple[tuple[str, str, str], ...] = (
    ("videos", "gauge", "Videos of the project, by state and by what holds them."),
    ("samples_asked_total", "counter", "Samples that people were asked about."),
    ("samples_labeled_total", "counter", "Samples that somebody labeled."),
    ("samples_skipped_total", "counter", "Samples that everybody skipped who was asked."),
    ("answers_total", "counter", "Annotations, each by itself, skipped ones not among them."),
    ("clicks_total", "counter", "Modelled clicks spent, correcting what was shown."),
    ("drawing_clicks_total", "counter", "Modelled clicks of drawing the same answers from nothing."),
    ("counted_clicks_total", "counter", "Clicks really counted, on the answers on which somebody counted."),
    ("answer_seconds_total", "counter", "Seconds that tasks were open, idle time included."),
    ("step_failures_total", "counter", "Steps that failed."),
    ("every_frame_clicks", "gauge", "Modelled clicks of drawing every frame of the videos where that is known."),
    ("every_frame_clicks_spent", "gauge", "Modelled clicks spent on these same videos."),
    ("queue_samples", "gauge", "Samples of waiting videos without any answer."),
    ("queue_oldest_seconds", "gauge", "Seconds since the longest waiting video asked; 0 if none waits."),
    ("video_estimated_miou_ratio", "gauge", "Estimated mean IoU of the newest masks of a video, 0 to 1."),
    ("video_labeled_ratio", "gauge", "Share of a video's pixels that a person labeled, 0 to 1."),
)


def exposition(projects: Sequence[tuple[str, Facts]], now: float) -> tuple[bytes, str]:
    """The text that Prometheus reads, and its content type.

    projects: the name of each, which becomes a label, and its facts;  now: seconds since the epoch
    """
    registry = CollectorRegistry()
    registry.register(_Metrics({name: video_rows(name, facts) for name, facts in projects}, now))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Metrics:
    def __init__(self, rows: dict[str, list[VideoRow]], now: float) -> None:
        self._rows, self._now = rows, now

    def collect(self) -> Iterable[Metric]:
        families = {}
        for name, kind, told in METRICS:
            labels = ["project", "state", "hold"] if name == "videos" else ["project"]
            labels = ["project", "video"] if name.startswith("video_") else labels
            made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            families[name] = made(f"fewclicks_{name}", told, labels=labels)
        for project, rows in self._rows.items():
            for name, labels_of, value in _values(rows, self._now):
                families[name].add_metric([project, *labels_of], value)
        return families.values()


def _values(rows: Sequence[VideoRow], now: float) -> Iterator[tuple[str, tuple[str, ...], float]]:
    places = Counter((row.state.state, row.state.hold) for row in rows)
    for state in State:
        for hold in (None, *Hold):
            if places[state, hold] or hold is None:
                yield "videos", (state.value, hold.value if hold else "none"), places[state, hold]
    work = add_work(row.work for row in rows)
    known = [row for row in rows if row.baseline is not None and row.saved is not None]
    free = [row for row in rows if row.open and row.state.hold is None and row.waiting_since is not None]
    sums = {
        "samples_asked_total": sum(row.tally.asked for row in rows),
        "samples_labeled_total": sum(row.tally.labeled for row in rows),
        "samples_skipped_total": sum(row.tally.skipped for row in rows),
        "answers_total": work.answers,
        "clicks_total": work.correcting,
        "drawing_clicks_total": work.drawing,
        "counted_clicks_total": work.counted_clicks,
        "answer_seconds_total": work.seconds_ms / 1000,
        "step_failures_total": sum(row.tally.failed for row in rows),
        "every_frame_clicks": sum(row.baseline.clicks for row in known if row.baseline is not None),
        "every_frame_clicks_spent": sum(row.tally.clicks for row in known),
        "queue_samples": sum(row.open for row in free),
        "queue_oldest_seconds": max((now - (row.waiting_since or now) for row in free), default=0.0),
    }
    for name, value in sums.items():
        yield name, (), value
    for row in rows:
        if row.estimated is not None:
            yield "video_estimated_miou_ratio", (row.id,), row.estimated
        yield "video_labeled_ratio", (row.id,), row.labeled
