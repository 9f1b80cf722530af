"""What leaves the product: class-index PNGs, COCO with run lengths, and a colour overlay to look at.

Every exporter takes its frames one by one, so that memory does not grow with the video, and writes whole files or none.
It may import `workspace` and its neighbours in `connectors` only.
"""
