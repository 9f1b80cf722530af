"""Fixtures for all tests."""

from hypothesis import settings

pytest_plugins = ["tests.label_studio_fixture", "tests.assist_fixture", "tests.postgres_fixture"]

# on a busy machine any example may take long
settings.register_profile("fewclicks", deadline=None)
settings.load_profile("fewclicks")
