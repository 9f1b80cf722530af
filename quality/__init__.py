"""Are the labels good? Scores against truth, agreement and consolidation of several annotators, contour distances, a
rubric, signs of wrong labels, and how far contours may lie off.

Arrays only: no IO, no Prefect, HTTP or SQL. It may import `workspace` only.
"""
