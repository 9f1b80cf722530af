"""The loop with patches, superpixels and a mixture through a real Label Studio: the same masks as without a server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import LabelingTool
from connectors.memory import MemoryTool
from connectors.simulated_annotator import simulated_annotator
from flows.context import Context
from flows.machine import Outcome, advance
from flows.rounds import asked_in, newest_model
from workspace.config import Config, parse_config
from workspace.facts import Facts
from workspace.files import read_mask, write_image
from workspace.layout import Layout
from workspace.video import Video

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]

FRAMES, HEIGHT, WIDTH = 4, 96, 128
VIDEO = Video("clip-0123456789", "<clip>", "0123456789" * 6 + "abcd", FRAMES, WIDTH, HEIGHT, 10.0, ".png")
CLASSES = ("ground", "box")
BUDGETS = {"patch:64": 5, "superpixel": 30, "mixed": 1}


def truth(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:70, 10 + 6 * index : 50 + 6 * index] = 1
    return mask


PERFECT = simulated_annotator(lambda _, frame: truth(frame))


def context_at(root: Path, config: Config, tool: LabelingTool) -> Context:
    layout = Layout(root)
    texture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3))
    for index in range(FRAMES):
        frame = texture + 150 * truth(index)[:, :, None] * np.array([1, 0, 0])
        write_image(layout.frame(VIDEO, index), frame.astype(np.uint8))
    facts = Facts.open(layout.database_file)
    facts.add_video(VIDEO)
    return Context(layout, config, facts, tool)


def masks(context: Context) -> np.ndarray:
    folder = context.layout.masks(VIDEO.id, newest_model(context.facts, VIDEO.id))
    return np.stack([read_mask(folder / f"{index:06d}.png") for index in range(FRAMES)])


def labels(context: Context) -> dict[str, np.ndarray]:
    events = context.facts.events(VIDEO.id, "label")
    return {e.payload["sample"]: read_mask(context.layout.video(VIDEO.id) / e.payload["file"]) for e in events}


@pytest.mark.parametrize("granularity", BUDGETS)
def test_the_masks_are_those_of_the_tool_in_memory(
    tmp_path: Path, label_studio_server: LabelStudioServer, granularity: str
) -> None:
    config = parse_config(
        {
            "project": {"classes": list(CLASSES)},
            "selection": {
                "granularity": granularity,
                "budget": BUDGETS[granularity],
                "strategy": "gain_per_click",
                "superpixel_size": 12,
            },
            "stopping": {"rounds": 2, "quality": None},
            "segmenter": {"name": "compact", "weights": None, "input_side": 64},
            "propagation": {"decoder_steps": 1, "tuning_steps": 0, "flow_max_side": 64},
        },
        "test",
    )
    plain = context_at(tmp_path, config, MemoryTool(answer=PERFECT))
    assert advance(plain, VIDEO.id) is Outcome.DONE

    root = label_studio_server.workspace_root / f"loop-{granularity.replace(':', '')}"
    url, token = label_studio_server.url, label_studio_server.token
    tool = LabelStudioTool(url, token, "loop", config.project.classes, None, label_studio_server.workspace_root, root)
    served = context_at(root, config, tool)
    for _ in range(4):
        if advance(served, VIDEO.id) is Outcome.DONE:
            break
        for project in (tool.project_id(), tool.tiles_project_id()):
            if project is not None:
                LabelStudioAnnotator(url, token, project, config.project.classes).play(PERFECT)
    else:
        pytest.fail("never done")

    for number in (1, 2):
        assert asked_in(served.facts, VIDEO.id, number) == asked_in(plain.facts, VIDEO.id, number)
    with_server, without = labels(served), labels(plain)
    assert with_server.keys() == without.keys()
    for key in without:
        np.testing.assert_array_equal(with_server[key], without[key])
    np.testing.assert_array_equal(masks(served), masks(plain))
    plain.facts.close()
    served.facts.close()
