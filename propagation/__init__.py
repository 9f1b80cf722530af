"""From a few labels to masks for all frames: optical flow, warping, segmenters, losses, fitting, fusion.

Torch and arrays; frames and labels come in through small protocols, so there is no IO here, and no Prefect, HTTP or
SQL. It may import `workspace` only.
"""
