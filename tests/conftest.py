"""Fixtures for all tests."""

import os

# Before anything loads OpenMP, and for the programs that tests start: tests run side by side, and threads that wait for
# each other on cores that others need take ten times as long as one thread alone.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

pytest_plugins = ["tests.label_studio_fixture", "tests.assist_fixture", "tests.postgres_fixture", "tests.s3_fixture"]

# on a busy machine any example may take long
settings.register_profile("fewclicks", deadline=None)
settings.load_profile("fewclicks")
