"""Who may look at the dashboard: anybody on this machine, or whoever shows the token."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from workspace.errors import UserError
from workspace.redaction import keep_secret

COOKIE = "fewclicks_dashboard"
VARIABLE = "FEWCLICKS_DASHBOARD_TOKEN"
LEAST_LENGTH = 16
_HEADERS = {
    # Plotly gives its drawings inline styles; scripts come from this server only
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

Next = Callable[[Request], Awaitable[Response]]


def is_local(host: str) -> bool:
    """Whether a server bound to `host` is reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(host: str, file: Path | None, variable: str | None) -> str | None:
    """The token from a file of mode 600 or the environment; UserError if one is needed, unsafe or too short."""
    token = variable
    if file is not None:
        try:
            mode = file.stat().st_mode & 0o777
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file} cannot be read: {error}.", "Give --token-file a file with the token.") from None
        if mode & 0o077:
            raise UserError(f"Others may read {file} (mode {mode:o}).", f"Run `chmod 600 {file}`.")
    if not token:
        if is_local(host):
            return None
        raise UserError(
            f"A dashboard at {host} can be reached from other machines, so it needs a token.",
            f"Set {VARIABLE}, or give --token-file.",
        )
    if len(token) < LEAST_LENGTH:
        raise UserError(f"The token has {len(token)} characters.", f"Use at least {LEAST_LENGTH} random ones.")
    return keep_secret(token)


class Access:
    """Lets a request through, or answers it. Nothing but reading is served."""

    def __init__(self, token: str | None, host: str) -> None:
        self._token, self._local = token, is_local(host)

    async def __call__(self, request: Request, call_next: Next) -> Response:
        response = self._refusal(request) or await call_next(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response

    def _refusal(self, request: Request) -> Response | None:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("The dashboard only shows.\n", 405)
        # a page from elsewhere may point a name of its own at 127.0.0.1 and read what it finds there
        if self._local and not _names_this_machine(request.headers.get("host", "")):
            return PlainTextResponse("This dashboard is for the machine that it runs on.\n", 421)
        if self._token is None:
            return None
        shown = request.query_params.get("token")
        if shown is not None and self._is_right(shown):
            return _keep_in_cookie(request, shown)
        bearer = request.headers.get("authorization", "")
        if self._is_right(request.cookies.get(COOKIE, "")) or self._is_right(bearer.removeprefix("Bearer ")):
            return None
        return PlainTextResponse("Open this page once with ?token=... at the end of its address.\n", 401)

    def _is_right(self, shown: str) -> bool:
        assert self._token is not None
        return secrets.compare_digest(shown.encode(), self._token.encode())


def _keep_in_cookie(request: Request, token: str) -> Response:
    """The token leaves the address bar, where others could read it."""
    rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
    path = "/" + request.url.path.lstrip("/")  # two slashes would name another server
    response = RedirectResponse(path + (f"?{urlencode(rest)}" if rest else ""), 303)
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, max_age=30 * 86400)
    return response


def _names_this_machine(host: str) -> bool:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return is_local(name.strip("[]"))
