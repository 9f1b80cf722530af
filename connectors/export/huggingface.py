"""A folder that `datasets.load_dataset("imagefolder", data_dir=...)` of Hugging Face reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from connectors.export.frames import LabeledFrame, Legend, place_bytes, place_image
from connectors.export.png import palette, palette_png
from workspace.files import json_bytes, writing_folder

_CARD = """---
task_categories:
- image-segmentation
---
Frames of a video with a mask each: the pixel values of `mask` are class ids (id2label.json), 255 is unknown.
"""


def export_huggingface(
    frames: Iterable[LabeledFrame], out: Path, legend: Legend, video: str, beat: Callable[[int], None]
) -> int:
    """Write `out`/train/metadata.jsonl with images/ and masks/, id2label.json and a card; returns how many masks.

    video: what the column of that name says;  beat: called with the number of frames done.  Columns are image, mask,
    frame and video: of a key that ends in `file_name`, "imagefolder" makes an image (huggingface.co/docs/datasets,
    "Create an image dataset").
    """
    colors = palette(legend.colors)
    done = 0
    with writing_folder(out) as folder:
        place_bytes(folder / "README.md", _CARD.encode())
        place_bytes(folder / "id2label.json", json_bytes({str(k): name for k, name in enumerate(legend.classes)}))
        train = folder / "train"
        train.mkdir()
        with (train / "metadata.jsonl").open("w", encoding="utf-8") as file:
            for frame in frames:
                image, mask = f"images/{frame.index:06d}{frame.image.suffix}", f"masks/{frame.index:06d}.png"
                place_image(frame, train / image)
                place_bytes(train / mask, palette_png(frame.mask, colors))
                row = {"file_name": image, "mask_file_name": mask, "frame": frame.index, "video": video}
                file.write(json.dumps(row) + "\n")
                done += 1
                beat(done)
    return done
