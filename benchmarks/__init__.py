"""Reproducible measurements on footage with known masks; each prints a table and writes JSON with `--out`.

Truth is used to play the annotator and to score, never to decide. It may import every folder of the product.
"""
