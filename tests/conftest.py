"""Fixtures for all tests."""

pytest_plugins = ["tests.label_studio_fixture"]
