"""Help while the annotator works: click to mask, box to snapped box, behind Label Studio's ML protocol.

It may import `selection`, `propagation`, `connectors`, `quality` and `workspace`. It knows no classes: what is clicked
on is the object. Without it everything else works.
"""
