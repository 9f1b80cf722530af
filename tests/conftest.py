"""Fixtures for all tests."""

pytest_plugins = ["tests.browser_fixture", "tests.label_studio_fixture"]
