"""Many small samples in one task, one choice each: how they are put together and how the answers come apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from connectors.label_studio.excerpts import KEY, Excerpt, excerpt_of_data, packed, unpacked
from connectors.label_studio.labeling_config import TILE_CHOICE, TILE_IMAGE, choice_texts, label_text
from workspace.files import fingerprint
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Granularity

TILES = "tiles"
SEVERAL, CANNOT_TELL = -1, -2  # answers that are no class


def tile_options(names: Sequence[str]) -> dict[int, str]:
    """The text of each class id, of SEVERAL and of CANNOT_TELL."""
    return dict(zip((*range(len(names)), SEVERAL, CANNOT_TELL), choice_texts(names), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """`shown`: (box height, box width) uint8, the prediction, 255 where there is none and outside the sample.

    `frame`: the address of the whole frame's image, for a finer question.
    """

    excerpt: Excerpt
    shown: MaskArray
    frame: str

    @property
    def predicted(self) -> int | None:
        """What is chosen before anybody looks: a class, SEVERAL, or None where nothing is predicted.

        A superpixel is asked for the class of most of it (ties to the lowest id), a patch for the class of all of it.
        """
        known = np.bincount(self.shown[self.excerpt.inside], minlength=UNKNOWN + 1)[:UNKNOWN]
        if not known.any():
            return None
        if self.excerpt.sample.granularity is Granularity.PATCH and (known > 0).sum() > 1:
            return SEVERAL
        return int(known.argmax())

    def data(self) -> dict[str, Any]:
        return self.excerpt.data() | {"shown": packed(self.shown), "frame_image": self.frame}


def tile_of_data(data: Any) -> Tile:
    """ValueError says in words what somebody has changed."""
    excerpt = excerpt_of_data(data)
    return Tile(excerpt, unpacked(data.get("shown"), *excerpt.inside.shape), str(data.get("frame_image")))


def grouped(tiles: Sequence[Tile], per_task: int) -> Iterator[list[Tile]]:
    """Tasks of at most `per_task` tiles of one video and round, those with the same prediction next to each other.

    A row of the same class is faster to look over, and the odd one catches the eye.
    """
    rounds: dict[str, list[Tile]] = {}
    for tile in tiles:
        rounds.setdefault(tile.excerpt.key.rpartition("/")[0], []).append(tile)
    for _, group in sorted(rounds.items()):
        # by class, then those that may be several, then those about which nothing is known
        ordered = sorted(group, key=lambda tile: (_rank(tile.predicted), tile.excerpt.sample.key, tile.excerpt.key))
        for start in range(0, len(ordered), per_task):
            yield ordered[start : start + per_task]


def _rank(predicted: int | None) -> int:
    return UNKNOWN + 1 if predicted is None else UNKNOWN if predicted == SEVERAL else predicted


def tiles_task(tiles: Sequence[Tile], options: Mapping[int, str], version: str) -> dict[str, Any]:
    """A task in Label Studio's JSON. `options`: the text of each class id, of SEVERAL and of CANNOT_TELL."""
    first = tiles[0].excerpt
    prefix = first.key.rpartition("/")[0]
    name = f"tiles-{fingerprint([tile.excerpt.key for tile in tiles])[:8]}"
    data = {
        # the server finds tasks by the beginning of this: it is that of the keys
        KEY: f"{prefix}/{name}" if prefix else name,
        "video": first.video,
        "video_name": first.video_name,
        "round": first.round,
        "model": first.model,
        TILES: [tile.data() for tile in tiles],
    }
    result = [
        tile_choice(index, options[tile.predicted]) for index, tile in enumerate(tiles) if tile.predicted is not None
    ]
    predictions = [{"model_version": version, "result": result}] if result else []
    return {"data": data, "predictions": predictions} if predictions else {"data": data}


def tile_choice(index: int, text: str, origin: str | None = None) -> dict[str, Any]:
    """What is chosen for one tile, in Label Studio's JSON."""
    region: dict[str, Any] = {
        "id": f"tile{index}",
        "from_name": f"{TILE_CHOICE}{index}",
        "to_name": f"{TILE_IMAGE}{index}",
        "type": "choices",
        "value": {"choices": [text]},
    }
    return region if origin is None else {**region, "origin": origin}


def tile_keys(data: Mapping[str, Any]) -> list[str]:
    """The keys of the questions in a task, by tile; [] for a task that is none of tiles."""
    tiles = data.get(TILES)
    return [str(tile.get(KEY)) for tile in tiles if isinstance(tile, dict)] if isinstance(tiles, list) else []


def tile_answers(result: Any, options: Mapping[int, str]) -> dict[int, int]:
    """Class id, SEVERAL or CANNOT_TELL by tile index; tiles without a readable choice are left out, later ones win."""
    meaning = {text: answer for answer, text in options.items()}
    answers: dict[int, int] = {}
    for region in result if isinstance(result, list) else []:
        if not isinstance(region, dict) or region.get("type") != "choices":
            continue
        number = str(region.get("from_name")).removeprefix(TILE_CHOICE)
        value = region.get("value")
        chosen = value.get("choices") if isinstance(value, dict) else None
        if not (isinstance(chosen, list) and len(chosen) == 1 and number.isascii() and number.isdigit()):
            continue
        answer = meaning.get(label_text(str(chosen[0])))
        if answer is not None and len(number) < 6:
            answers[int(number)] = answer
    return answers
