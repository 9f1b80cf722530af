"""Trying again, where that cannot do anything twice: a server that is busy or restarting is waited for."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

PAUSES_S = (0.5, 1.0, 2.0, 4.0)
LONGEST_PAUSE_S = 20.0  # whatever Retry-After asks for: the lease of a video must not run out meanwhile
_READS = ("GET", "HEAD")


class PatientClient(httpx.Client):
    """Repeats a request that was refused (429, whatever it was) or a read that met a server in trouble (502 to 504).

    A write that ended in 5xx or in silence may have been done: it is not repeated here, see `importing`. Pauses double
    and are spread by a fifth, so that several processes do not come back at one moment; Retry-After is obeyed.
    """

    sleep = staticmethod(time.sleep)

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        for pause in PAUSES_S:
            response = super().send(request, **options)
            refused = response.status_code == 429
            if not refused and not (response.status_code in (502, 503, 504) and request.method in _READS):
                return response
            wanted = retry_after_s(response.headers.get("Retry-After"))
            response.close()
            self.sleep(min(pause * random.uniform(0.8, 1.2) if wanted is None else wanted, LONGEST_PAUSE_S))  # noqa: S311
        return super().send(request, **options)


def retry_after_s(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (a number or a date, RFC 9110, 10.2.3); None if it says nothing."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
