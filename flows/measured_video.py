"""A measured folder's video, decoded into a workspace that is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from connectors.measured_folder import MeasuredFolder
from flows.adding import add_video
from flows.flow_method import flow_method
from flows.frame_files import FlowFiles, FrameFiles, ScratchFiles
from propagation.devices import use_threads
from propagation.side_by_side import workers_for
from workspace.config import FramesConfig, PropagationConfig
from workspace.facts import Facts
from workspace.layout import Layout
from workspace.video import Video


def quiet(fraction: float) -> None:
    """No progress bar inside a measurement."""


@dataclass(frozen=True, slots=True)
class MeasuredVideo:
    layout: Layout
    video: Video
    frames: FrameFiles
    flow: FlowFiles

    def fill_flow(self, beat: Callable[[float], None] = quiet) -> None:
        """Both directions of all neighbours, as many pairs at a time as the product takes."""
        self.flow.fill(workers_for(self.video.height, self.video.width, torch.get_num_threads()), beat)

    def scratch(self) -> ScratchFiles:
        return ScratchFiles(self.layout.root / "scratch")


@contextmanager
def measured_video(folder: MeasuredFolder, settings: PropagationConfig) -> Iterator[MeasuredVideo]:
    """UserError if the video and its masks do not fit together, or if the settings' flow lacks weights."""
    use_threads(settings.threads)
    method, compute = flow_method(settings)
    with tempfile.TemporaryDirectory(prefix="fewclicks-measured-") as root:
        layout = Layout(Path(root))
        layout.videos.mkdir()
        with Facts.open(layout.database_file) as facts:
            video = add_video(layout, facts, FramesConfig(), folder.video_path).video
        folder.check_video(video.frames, video.width, video.height)
        frames = FrameFiles(layout, video, keep=8)
        yield MeasuredVideo(layout, video, frames, FlowFiles(layout.flow(video.id) / method, frames, compute))
