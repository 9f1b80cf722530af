"""The loop: one idempotent step of one video at a time, and Prefect around it.

The steps and the machine that orders them are plain Python; only `advance.py`, `embedded.py` and `deployments.py`
import Prefect, and nothing else in the product does. It may import `selection`, `propagation`, `connectors`, `quality`
and `workspace`.
"""
