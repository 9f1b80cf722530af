"""The `fewclicks` command: user errors are one line and exit code 2, everything else keeps its traceback."""

from __future__ import annotations

import errno
import os
import sys

from workspace.errors import UserError

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def main() -> None:
    # Label Studio, Prefect and other runs share the machine: threads that spin while they wait starve everybody
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from fewclicks.app import app
    from workspace.redaction import redact_logs, redacted

    redact_logs()

    try:
        app(prog_name="fewclicks")
    except KeyboardInterrupt:
        print("Stopped. Run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        told = in_one_line(error)
        if told is None:
            raise
        print(f"Error: {redacted(told)}", file=sys.stderr)
        sys.exit(2)


def in_one_line(error: Exception) -> str | None:
    """What to tell the user about a mistake or a full or protected disk; None for a bug of ours."""
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f"{error.filename} cannot be written" if error.filename else "Writing failed"
        return f"{where}: {error.strerror}. Nothing already labeled is lost; make room and run the same command again."
    if type(error).__module__ == "sqlalchemy.exc" and type(error).__name__ == "OperationalError":
        reason = " ".join(str(getattr(error, "orig", error)).split())
        return f"The workspace's database could not be used: {reason}. Nothing already labeled is lost; run again."
    return None


if __name__ == "__main__":
    main()
