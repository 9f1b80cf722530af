"""Label Studio's machine learning protocol over HTTP."""

from __future__ import annotations

import hmac
import json
import logging
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBasic

from assist.service import Assist

log = logging.getLogger(__name__)

_MOST_BYTES = 64 * 2**20  # a task with the masks of its annotations and predictions


def assist_app(assist: Assist, user: str, password: str) -> FastAPI:
    """Everything but /health wants HTTP Basic with this user and password."""
    app = FastAPI(title="fewclicks assist", docs_url=None, redoc_url=None, openapi_url=None)
    basic = HTTPBasic(realm="fewclicks assist")

    async def allowed(request: Request) -> None:
        given = await basic(request)
        assert given is not None  # it has refused by itself what has no password
        right = hmac.compare_digest(given.username.encode(), user.encode())
        right &= hmac.compare_digest(given.password.encode(), password.encode())
        if not right:
            log.warning("A request without the password was refused.")
            raise HTTPException(401, "wrong user or password", {"WWW-Authenticate": "Basic"})

    guarded = [Depends(allowed)]

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "UP"}

    @app.get("/versions", dependencies=guarded)
    def versions() -> dict[str, list[str]]:
        return {"versions": [assist.version]}

    @app.post("/setup", dependencies=guarded)
    async def setup(request: Request) -> dict[str, str]:
        await _json(request)  # it holds an access token of the project's owner, which we neither need nor keep
        return {"model_version": assist.version}

    @app.post("/predict", dependencies=guarded)
    async def predict(request: Request) -> dict[str, list[dict[str, Any]]]:
        body = await _json(request)
        regions = await run_in_threadpool(assist.answer, body)
        # no answer at all where nothing was drawn: an empty one would be stored as the task's prediction
        return {"results": [{"result": regions}] if _drawn(body) else []}

    @app.post("/webhook", dependencies=guarded)
    async def webhook(request: Request) -> dict[str, str]:
        await run_in_threadpool(assist.submitted, await _json(request))
        return {}

    return app


def _drawn(body: Any) -> bool:
    parameters = body.get("params") if isinstance(body, dict) else None
    return isinstance(parameters, dict) and bool(parameters.get("context"))


async def _json(request: Request) -> Any:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > _MOST_BYTES:
            raise HTTPException(413, "too large")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise HTTPException(400, "no JSON") from None
