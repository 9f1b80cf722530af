"""Which samples are worth a person's time: uncertainty, strategies, click accounting.

Arrays in, indices or numbers out; no IO, no training, no Prefect, HTTP or SQL. It may import `workspace` only.
"""
