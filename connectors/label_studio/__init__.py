"""Label Studio 1.23: its server, its project, its formats. The border where percents and run lengths become masks.

`tool` is the labeling tool of the loop, `annotator` the simulated person behind the same API, `server` and
`installation` run Label Studio itself in its own virtual environment. It may import `workspace` and the Protocol in
`connectors.labeling_tool` only; label_studio_sdk is imported inside functions, because that takes more than a second.
"""
