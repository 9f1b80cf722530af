"""A person's browser for the tests that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks.browser import Page, browser, chromium
from connectors.label_studio.server import LabelStudioServer


@pytest.fixture(scope="session")
def chromium_here() -> None:
    """Skips, or fails where CI or FEWCLICKS_REQUIRE_REAL=1 is set, if no browser is installed."""
    if chromium() is None:
        if os.environ.get("CI") or os.environ.get("FEWCLICKS_REQUIRE_REAL") == "1":
            pytest.fail("there is no chromium here")
        pytest.skip("there is no chromium here")


@pytest.fixture(scope="module")
def page(chromium_here: None, label_studio_server: LabelStudioServer) -> Iterator[Page]:
    """A tab of a browser, logged in to the server of the session; one for all tests of a file."""
    with browser(label_studio_server.url, label_studio_server.email, label_studio_server.password) as opened:
        yield opened
