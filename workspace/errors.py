"""The one family of errors that a user sees without a traceback."""

from __future__ import annotations

from workspace.redaction import redacted


class UserError(Exception):
    """Something that the user can mend: what is wrong, with the value, and what to do next.

    Shown as one line without a traceback, exit code 2. Everything else is a bug and keeps its traceback.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        # what a server answers may hold the token it was sent, and errors are printed, logged and kept by Prefect
        message, hint = redacted(message), redacted(hint)
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str]]:
        return type(self), (self.message, self.hint)  # whole across process borders

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ToolUnavailable(UserError):
    """The labeling tool does not answer or refuses us; nothing was changed, so try again later."""


class LeaseLost(Exception):
    """Another process has taken this video over (or its lease ran out): stop at once, write nothing more."""
