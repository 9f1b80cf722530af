"""Are the labels good? Scores against truth, agreement and consolidation of several annotators.

Arrays only: no IO, no Prefect, HTTP or SQL. It may import `workspace` only.
"""
