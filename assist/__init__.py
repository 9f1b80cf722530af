"""Help while the annotator works: click to mask, box to snapped box, behind Label Studio's ML protocol.

It may import `selection`, `propagation`, `connectors`, `quality` and `workspace`. Nothing lives here yet.
"""
