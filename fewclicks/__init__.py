"""The command line only: one file per group of commands, nothing that another folder would want to import.

It may import `flows`, `assist`, `dashboard` and, for what they do not cover, every folder below them.
"""
