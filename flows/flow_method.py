"""Which optical flow the settings ask for, and the folder that keeps it: another method, another folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from propagation.devices import torch_device
from propagation.flow import dis_flow
from propagation.raft import Raft, once, require_weights
from workspace.config import PropagationConfig
from workspace.files import fingerprint

FlowOfPair = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]


def flow_method(settings: PropagationConfig) -> tuple[str, FlowOfPair]:
    """A folder's name, which tells apart method, size and weights, and what computes the flow of a pair of frames.

    UserError if RAFT is set without weights; weights that cannot be loaded are found when the first pair is computed.
    """
    side = settings.flow_max_side
    if settings.flow == "dis":
        return f"dis-{side}", partial(dis_flow, max_side=side)
    weights = require_weights(settings.flow, settings.flow_weights)
    path = Path(weights).expanduser()
    mark = fingerprint(path.read_bytes()) if path.is_file() else fingerprint(weights)
    make = partial(Raft, settings.flow, weights, side)
    return f"{settings.flow}-{side}-{mark}", once(lambda: make(torch_device(settings.device)))
