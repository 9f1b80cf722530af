"""Reads exports with other people's libraries, in an environment of their own, and writes what they saw to an .npz.

Called as: python elsewhere.py FOLDER OUT, where FOLDER holds one folder per format.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import datumaro
import numpy as np
import supervision

UNSEEN = 255


def by_datumaro(path: Path, name: str) -> Iterator[tuple[str, np.ndarray]]:
    dataset = datumaro.Dataset.import_from(str(path), name)
    names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
    for item in dataset:
        mask = np.full(item.media.size, UNSEEN, np.uint8)
        for one in item.annotations:
            if isinstance(one, datumaro.Mask):
                mask[one.image.astype(bool)] = one.label
        assert item.media.data.shape[:2] == mask.shape
        yield item.id, mask
    yield "names", np.array(names)


def by_supervision(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    dataset = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(path / "images" / "train"),
        annotations_directory_path=str(path / "labels" / "train"),
        data_yaml_path=str(path / "data.yaml"),
        force_masks=True,
    )
    for name, image, found in dataset:
        mask = np.full(image.shape[:2], UNSEEN, np.uint8)
        for pixels, label in zip(found.mask, found.class_id, strict=True):
            mask[pixels] = label
        yield Path(name).stem, mask
    yield "names", np.array(dataset.classes)


def by_datasets(path: Path, cache: Path) -> Iterator[tuple[str, np.ndarray]]:
    datasets.disable_progress_bars()
    for row in datasets.load_dataset("imagefolder", data_dir=str(path), split="train", cache_dir=str(cache)):
        assert row["image"].size == row["mask"].size
        yield f"{row['frame']:06d}", np.array(row["mask"])
        yield f"{row['frame']:06d}.video", np.array([row["video"]])


def main(folder: Path, out: Path) -> None:
    seen = {
        "cvat": by_datumaro(folder / "cvat", "cvat"),
        "datumaro": by_datumaro(folder / "datumaro", "datumaro"),
        "voc": by_datumaro(folder / "voc" / "VOCdevkit" / "VOC2012", "voc_segmentation"),
        "yolo": by_supervision(folder / "yolo"),
        "huggingface": by_datasets(folder / "huggingface", out.parent / "cache"),
    }
    np.savez(out, **{f"{name}/{key}": value for name, found in seen.items() for key, value in found})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
