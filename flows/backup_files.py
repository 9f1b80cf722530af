"""Which files a backup holds, and without which of them it would be worth nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from workspace.archive import MEMBER
from workspace.facts import Facts
from workspace.layout import Layout
from workspace.sample import Sample
from workspace.video import Video

FORMAT = 1  # of the archive; raise it when an older program could not restore a newer archive
COMPUTED_AGAIN = {"flow", "embeddings", "scratch"}  # from the frames, whenever they are asked for
PROJECT_FILES = ("fewclicks.yaml", "label-studio-project.json")


def kept_files(layout: Layout, video: Video) -> Iterator[str]:
    """Every file of the video that is no cache, relative to the project; names that the product never gives are not."""
    folder = layout.video(video.id)
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in COMPUTED_AGAIN]
        folders.sort()
        for name in sorted(names):
            member = f"videos/{video.id}/{(Path(place) / name).relative_to(folder).as_posix()}"
            if MEMBER.fullmatch(member):
                yield member


def needed_files(layout: Layout, facts: Facts, video: Video) -> set[str]:
    """What the facts of the video speak of and the loop will read again, relative to the project."""
    paths = [layout.frame(video, index) for index in range(video.frames)]
    folder = layout.video(video.id)
    for event in facts.events(video.id, "label"):
        if event.payload["file"] is not None:
            paths.append(folder / str(event.payload["file"]))
    for event in facts.events(video.id, "selected"):
        for sample in map(Sample.parse, event.payload["samples"]):
            if sample.superpixel is not None:
                paths.append(layout.superpixels(video.id) / f"{sample.superpixel[0]}.npy")
    fitted, propagated = facts.last_event(video.id, "fitted"), facts.last_event(video.id, "propagated")
    if fitted is not None:
        paths.append(layout.model(video.id, str(fitted.payload["model"])))
    if propagated is not None:
        model = str(propagated.payload["model"])
        for index in range(video.frames):
            paths.append(layout.masks(video.id, model) / f"{index:06d}.png")
            paths.append(layout.probabilities(video.id, model) / f"{index:06d}.npz")
    return {path.relative_to(layout.root).as_posix() for path in paths}
