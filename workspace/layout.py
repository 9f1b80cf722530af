"""Where everything lies in a workspace folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from workspace.config import Config, load_config
from workspace.video import VIDEO_ID, Video


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a workspace.

    DIR/fewclicks.yaml, fewclicks.db       settings and facts
    DIR/videos/ID/frames/000000.jpg        decoded once
    DIR/videos/ID/flow/…                   optical flow per pair
    DIR/videos/ID/rounds/01/…              what was asked, and the raw answers
    DIR/videos/ID/labels/…                 one index PNG per annotation
    DIR/videos/ID/models/FINGERPRINT.pt    one per fit
    DIR/videos/ID/masks/FINGERPRINT/…      one index PNG per frame
    DIR/videos/ID/probabilities/…          the same with probabilities, for the next selection
    DIR/videos/ID/frame-errors/…           one array per propagation: share of wrong pixels expected in each frame
    """

    root: Path

    @property
    def slug(self) -> str:
        """Its name in addresses: the folder's, in small letters, digits and dashes."""
        return re.sub(r"[^a-z0-9]+", "-", self.root.name.lower()).strip("-") or "project"

    @property
    def config_file(self) -> Path:
        return self.root / "fewclicks.yaml"

    @property
    def database_file(self) -> Path:
        return self.root / "fewclicks.db"

    @property
    def videos(self) -> Path:
        return self.root / "videos"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def prefect_home(self) -> Path:
        return self.root / ".prefect"

    @property
    def label_studio_data(self) -> Path:
        return self.root / ".label-studio"

    @property
    def label_studio_state(self) -> Path:
        """Address and credentials of the server that `fewclicks serve` started; mode 600."""
        return self.label_studio_data / "server.json"

    @property
    def webhook_secret_file(self) -> Path:
        """What a call of Label Studio's webhook must show; mode 600."""
        return self.label_studio_data / "webhook-secret"

    @property
    def assist_secret_file(self) -> Path:
        """The password of the server that helps annotators; mode 600."""
        return self.label_studio_data / "assist-secret"

    @property
    def effort_file(self) -> Path:
        """Clicks and seconds of answers, as the proxy of `fewclicks serve` counted them."""
        return self.label_studio_data / "effort.jsonl"

    @property
    def click_file(self) -> Path:
        """How annotations were clicked, as the server that helps annotators saw it."""
        return self.label_studio_data / "click-sequences.jsonl"

    def video(self, video: str) -> Path:
        if not VIDEO_ID.fullmatch(video):
            raise ValueError(f"video id {video!r} is not a slug")
        return self.videos / video

    def frame(self, video: Video, index: int) -> Path:
        return self.video(video.id) / "frames" / f"{index:06d}{video.suffix}"

    def round(self, video: str, number: int) -> Path:
        return self.video(video) / "rounds" / f"{number:02d}"

    def superpixels(self, video: str) -> Path:
        return self.video(video) / "superpixels"

    def flow(self, video: str) -> Path:
        return self.video(video) / "flow"

    def labels(self, video: str) -> Path:
        return self.video(video) / "labels"

    def model(self, video: str, fingerprint: str) -> Path:
        return self.video(video) / "models" / f"{fingerprint}.pt"

    def masks(self, video: str, fingerprint: str) -> Path:
        return self.video(video) / "masks" / fingerprint

    def probabilities(self, video: str, fingerprint: str) -> Path:
        return self.video(video) / "probabilities" / fingerprint

    def frame_errors(self, video: str, fingerprint: str) -> Path:
        return self.video(video) / "frame-errors" / f"{fingerprint}.npy"

    def config(self) -> Config:
        return load_config(self.config_file)
