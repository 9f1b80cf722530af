"""What a project's labels teach: every label but those held out, and good masks that were not made from these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from assist.training.train import Effort, train
from connectors.memory import MemoryTool
from fewclicks.assist_material import material_of
from flows import machine
from flows.context import Context
from flows.own_footage import good_to_learn_from, own_footage
from workspace.errors import UserError

VIDEO = "clip-0123456789"


def test_good_frames_are_worked_out_on_paper() -> None:
    errors = np.array([0.0, 0.01, 0.5, 0.01, 0.02, 0.01, np.nan, 0.0, 0.0, 0.0], np.float32)
    # 0 and 5 are labeled and learned from, 9 is held out; 7 and 8 are nearer to 9, 2 is bad, nobody knows about 6
    assert good_to_learn_from(errors, [9, 0, 5], {9}) == [1, 3, 4]
    assert good_to_learn_from(np.zeros(41, np.float32), [0, 40], {40}) == [1, 10, 19]  # three per label, spread
    assert good_to_learn_from(np.zeros(3, np.float32), [], set()) == []
    assert good_to_learn_from(np.zeros(5, np.float32), [0, 4], {4}) == [1]  # 2 is as near to the one held out


def test_held_out_labels_stay_held_out_and_the_fingerprint_follows_the_labels(
    make_context: Callable[..., Context], truth: Callable[[int], np.ndarray], footage: Path, tmp_path: Path
) -> None:
    tool = MemoryTool(answer=lambda question: truth(question.sample.frame))
    project = {"classes": ["ground", "box"], "background": "ground"}

    def rounds(number: int) -> Context:
        return make_context(tool, project=project, stopping={"rounds": number, "quality": None})

    context = rounds(1)
    with pytest.raises(UserError, match="0 labeled frame"):
        own_footage(context.layout, context.config, context.facts)
    machine.advance(context, VIDEO)
    first = own_footage(context.layout, context.config, context.facts)
    assert first.classes == ("background", "box")
    assert (len(first.human), len(first.held_out)) == (1, 1)
    for frame in (*first.human, *first.held_out):
        np.testing.assert_array_equal(frame.read(), truth(int(frame.image.stem)))
    for frame in first.propagated:
        assert frame.read().shape == truth(0).shape
    assert own_footage(context.layout, context.config, context.facts).fingerprint == first.fingerprint

    machine.advance(rounds(2), VIDEO)
    second = own_footage(context.layout, context.config, context.facts)
    assert second.fingerprint != first.fingerprint
    assert (len(second.human), len(second.held_out)) == (3, 1)
    assert [f.image for f in second.held_out] == [f.image for f in first.held_out]
    learned = {f.image for f in (*second.human, *second.propagated)}
    assert not learned & {f.image for f in second.held_out}

    # the same as the command takes it, together with footage of others
    (context.layout.config_file).write_text(yaml.safe_dump({"project": project | {"name": "own"}}))
    said: list[str] = []
    material = material_of([context.layout.root, footage], said.append)
    assert len(material.examples) == 3 + len(second.propagated) + 4
    assert said[0].endswith("1 labeled one(s) held out to judge by")
    _, (box,) = material.held_out[0].read()
    np.testing.assert_array_equal(box == 1, truth(int(material.held_out[0].image_path.stem)) == 1)
    train(material, tmp_path / "helper", "compact", None, Effort(3, 5.0), said.append, ("click",))
    assert "on held-out labels" in said[-1]
    assert (tmp_path / "helper" / "click.pt").exists() == said[-1].endswith("it is taken")
