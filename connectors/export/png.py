"""One palette PNG per frame: the pixel values are the class indices, the palette only shows them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workspace.files import write_bytes, write_json
from workspace.mask import UNKNOWN, MaskArray


def export_png(
    masks: Iterable[tuple[int, MaskArray]],
    out_dir: Path,
    classes: Sequence[str],
    colors: NDArray[np.uint8],
    beat: Callable[[int], None],
) -> int:
    """Write `out_dir`/masks/000000.png and so on, and `out_dir`/meta.json with the names; returns how many masks.

    masks: (frame index, (H, W) uint8);  colors: (K, 3) uint8 RGB, one per class;  beat: called with the number done.
    Values come back exactly with any reader that does not apply the palette; 255 stays 255 and is shown black.
    meta.json has the form that `connectors.measured_folder` reads.
    """
    table = palette(colors)
    done = 0
    for index, mask in masks:
        write_bytes(out_dir / "masks" / f"{index:06d}.png", palette_png(mask, table))
        done += 1
        beat(done)
    write_json(
        out_dir / "meta.json",
        {
            "classes": {str(k): name for k, name in enumerate(classes)},
            "colors": {str(k): colors[k].tolist() for k in range(len(classes))},
            "ignore": UNKNOWN,
            "masks": done,
        },
    )
    return done


def palette(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB: the classes' colours, middle grey for values that no class has, black for 255."""
    table = np.full((256, 3), 128, np.uint8)
    table[: len(colors)] = colors
    table[UNKNOWN] = 0
    return table


def palette_png(mask: NDArray[np.uint8], table: NDArray[np.uint8]) -> bytes:
    """A PNG file whose pixel values are those of the mask and whose palette is `table`, (256, 3) uint8 RGB."""
    image = Image.fromarray(np.ascontiguousarray(mask))
    image.putpalette(table.tobytes())  # makes it mode "P" and leaves the values alone
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
