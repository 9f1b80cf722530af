"""A page as PDF, by the browser of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from workspace.errors import UserError
from workspace.files import write_bytes

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 180


def browser() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


def print_pdf(page: Path, target: Path) -> None:
    """Write `page`, an HTML file that needs nothing else, to `target`. UserError if the browser does not manage."""
    program = browser()
    if program is None:
        raise UserError("There is no Chromium or Chrome here to write a PDF.", "Install one, or print the HTML page.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "page.pdf"
        # as root, in a container, Chromium has no sandbox to offer; the page is ours and holds no script
        alone = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [
            program, "--headless=new", *alone, "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}", page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            # no pipes: what Chromium leaves running for a while would keep them open
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_SECONDS)
            write_bytes(target, made.read_bytes())
        except (subprocess.SubprocessError, FileNotFoundError) as error:
            raise UserError(
                f"{program} did not write the PDF: {type(error).__name__}.", "Print the HTML page."
            ) from None
