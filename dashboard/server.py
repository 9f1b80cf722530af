"""The dashboard's web pages: read-only, live, and nothing on them comes from anywhere but this server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from dashboard.access import Access
from dashboard.metrics import exposition
from dashboard.pictures import WIDTHS, frame_jpeg, heat_png, mask_png, sample_jpeg
from dashboard.player_page import player_values
from dashboard.project import Project
from dashboard.project_page import overview_values
from dashboard.templates import templates
from dashboard.video_page import video_values
from workspace.colors import class_colors
from workspace.errors import UserError
from workspace.facts import VideoState

_PICTURES_KEPT = 2000  # small ones, some 20 kB each
_STATIC = {"dashboard.css": "text/css", "dashboard.js": "text/javascript", "player.js": "text/javascript"}
_IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
_FRESH = {"Cache-Control": "no-store"}


def dashboard_app(
    projects: Sequence[Project], token: str | None, host: str, clock: Callable[[], float] = time.time
) -> FastAPI:
    """The application. `token`: what every request must show, if any;  `host`: the address it will be bound to."""
    app = FastAPI(title="fewclicks", docs_url=None, redoc_url=None, openapi_url=None)
    by_slug = {project.slug: project for project in projects}
    pages = templates()
    app.middleware("http")(Access(token, host))

    def page(name: str, values: dict[str, Any], status: int = 200) -> HTMLResponse:
        everywhere = {"projects": projects, "now": clock()}
        return HTMLResponse(pages.get_template(name).render(everywhere | values), status, headers=_FRESH)

    def found(slug: str, video: str) -> tuple[Project, VideoState]:
        project = by_slug.get(slug)
        if project is None:
            raise UserError(f"There is no project {slug!r} here.")
        return project, project.facts.video(video)

    @app.exception_handler(UserError)
    def _told(_: Request, error: UserError) -> HTMLResponse:
        return page("error.html", {"message": error.message}, 404)

    @app.exception_handler(HTTPException)
    def _not_there(_: Request, error: HTTPException) -> HTMLResponse:
        return page("error.html", {"message": str(error.detail)}, error.status_code)

    @app.get("/")
    def _overview(request: Request) -> HTMLResponse:
        return page("overview.html", overview_values(projects, request.query_params, clock()))

    @app.get("/p/{slug}/{video}")
    def _video(slug: str, video: str) -> HTMLResponse:
        project, state = found(slug, video)
        return page("video.html", video_values(project, state, clock()))

    @app.get("/p/{slug}/{video}/player")
    def _player(slug: str, video: str) -> HTMLResponse:
        project, state = found(slug, video)
        return page("player.html", player_values(project, state, clock()))

    @app.get("/position")
    def _position() -> JSONResponse:
        return JSONResponse({project.slug: project.facts.position() for project in projects}, headers=_FRESH)

    @app.get("/metrics")
    def _metrics() -> Response:
        body, kind = exposition([(project.slug, project.facts) for project in projects], clock())
        return Response(body, headers={"Content-Type": kind} | _FRESH)

    @lru_cache(maxsize=_PICTURES_KEPT)
    def picture(slug: str, video: str, kind: str, model: str, frame: int, width: int) -> bytes:
        project, state = found(slug, video)
        if not 0 <= frame < state.video.frames:
            raise UserError(f"{state.video.id} has no frame {frame}.")
        layout, colors = project.layout, class_colors(project.config.project.classes)
        if kind == "frames":
            return frame_jpeg(layout, state.video, frame, width)
        if kind == "masks":
            return mask_png(layout, state.video, model, frame, width, colors)
        if kind == "samples":
            return sample_jpeg(layout, state.video, model, frame, width, colors)
        return heat_png(layout, state.video, model, frame, width)

    @app.get("/p/{slug}/{video}/{kind}/{model}/{frame}/{width}")
    def _picture(slug: str, video: str, kind: str, model: str, frame: int, width: int) -> Response:
        if kind not in ("frames", "masks", "samples", "heat") or width not in WIDTHS:
            raise HTTPException(404, "There is no such picture.")
        try:
            data = picture(slug, video, kind, model, frame, width)
        except UserError as error:
            return PlainTextResponse(f"{error.message}\n", 404, headers=_FRESH)
        return Response(
            data, media_type="image/jpeg" if kind in ("frames", "samples") else "image/png", headers=_IMMUTABLE
        )

    @app.get("/static/{name}")
    def _static(name: str) -> Response:
        if name == "plotly.js":
            return Response(
                _plotly(), media_type="text/javascript", headers={"Cache-Control": "private, max-age=86400"}
            )
        if name not in _STATIC:
            raise HTTPException(404, "There is no such file.")
        data = (files("dashboard") / "static" / name).read_bytes()
        return Response(data, media_type=_STATIC[name], headers={"Cache-Control": "no-cache"})

    return app


@lru_cache(maxsize=1)
def _plotly() -> bytes:
    """The library's own script, as it lies in the installed package."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
