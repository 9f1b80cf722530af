"""The `fewclicks` command: user errors are one line and exit code 2, everything else keeps its traceback."""

from __future__ import annotations

import sys

from workspace.errors import UserError


def main() -> None:
    from fewclicks.app import app

    try:
        app(prog_name="fewclicks")
    except UserError as error:
        sys.exit(_fail(error))
    except KeyboardInterrupt:
        print("Stopped. Run the same command again to go on.", file=sys.stderr)
        sys.exit(130)


def _fail(error: UserError) -> int:
    print(f"Error: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
