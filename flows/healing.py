"""A file that a disk has damaged is made again where that is possible; what only people or a backup have is told."""

from __future__ import annotations

import logging
from pathlib import Path

from flows.context import Context
from flows.rounds import newest_model
from workspace.facts import Lease, NewEvent
from workspace.states import State

log = logging.getLogger(__name__)

_MADE_BY_WHO_READS = {"flow", "embeddings", "scratch"}
_MADE_BY_PROPAGATION = {"masks", "probabilities"}


def heal(context: Context, lease: Lease, path: Path) -> bool:
    """Make the damaged file again from what it was made of; False if it cannot be, and stays.

    Masks and probabilities are those of the newest model, made with the labels that there were then.
    """
    try:
        place = path.relative_to(context.layout.video(lease.video))
    except ValueError:
        return False
    kind, model = place.parts[0], place.parent.name
    if kind in _MADE_BY_PROPAGATION:
        fitted = context.facts.last_event(lease.video, "fitted")
        if fitted is None or fitted.payload["model"] != model:
            return False
        if lease.state is State.PROPAGATING:
            path.unlink(missing_ok=True)  # this step makes what is not there
        else:
            if newest_model(context.facts, lease.video) != model:
                return False
            from flows.learning import complete

            # not removed first: killed before it is made again, the next run would find it neither whole nor damaged
            video, frame = context.facts.video(lease.video).video, int(path.stem)
            complete(context, lease, video, model, before=fitted.id, anew={frame})
    elif kind in _MADE_BY_WHO_READS:
        path.unlink(missing_ok=True)
    else:
        return False
    log.warning("%s was damaged and is made again.", path)
    lease.record([NewEvent("healed", {"file": place.as_posix()})])
    return True
