"""Clicks saved, quality and throughput: pure summaries of the event log, and what draws them.

It may import `selection`, `propagation`, `connectors`, `quality` and `workspace`.
"""
