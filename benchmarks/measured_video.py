"""A measured folder's video in a workspace of its own, as all benchmarks take it."""

from flows.measured_video import MeasuredVideo, measured_video, quiet

__all__ = ["MeasuredVideo", "measured_video", "quiet"]
