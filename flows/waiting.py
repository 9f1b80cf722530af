"""What people have answered so far, of all videos that wait for them: the tool is asked once, not per video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flows.context import Context
from flows.rounds import asked_in
from workspace.facts import VideoState
from workspace.sample import Sample, question_key
from workspace.states import State


@dataclass(frozen=True, slots=True)
class Answers:
    """Of one video's round: the samples that are answered, by question key, and how many are open."""

    answered: Mapping[str, Sample]
    open: int


class Waiting:
    """Looks when it is first asked, at every video that waits then; one that waits since later is looked at by itself.

    A thousand videos with five open questions each are one request to the tool instead of a thousand.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: dict[tuple[str, int], Answers] | None = None

    def of(self, row: VideoState) -> Answers:
        if self._seen is None:
            self._seen = self._look()
        found = self._seen.get((row.video.id, row.round))
        return answers_of(self._context, row) if found is None else found

    def _look(self) -> dict[tuple[str, int], Answers]:
        events = self._context.facts.of_this_round("selected", State.WAITING)
        asked = {
            (video, of_video[0].round): {
                question_key(video, event.round, sample): sample
                for event in of_video
                for sample in map(Sample.parse, event.payload["samples"])
            }
            for video, of_video in events.items()
        }
        progress = self._context.tool.progress([key for samples in asked.values() for key in samples])
        return {
            place: Answers(
                {key: sample for key, sample in samples.items() if key in progress.answered},
                sum(key in progress.open for key in samples),
            )
            for place, samples in asked.items()
        }


def answers_of(context: Context, row: VideoState) -> Answers:
    """The same of one video, asked by itself."""
    round_samples = asked_in(context.facts, row.video.id, row.round)
    samples = {question_key(row.video.id, row.round, sample): sample for sample in round_samples}
    progress = context.tool.progress(list(samples))
    return Answers({key: samples[key] for key in progress.answered}, len(progress.open))
