"""What the help for annotators learns from: folders and files of others, and projects' own labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from assist.examples import Example, examples_of, masked_example
from assist.training.train import Material
from flows.own_footage import LabeledFrame, own_footage
from workspace.facts import Facts
from workspace.files import fingerprint
from workspace.layout import Layout


def material_of(sources: Sequence[Path], say: Callable[[str], None]) -> Material:
    """A source that holds fewclicks.yaml is a project, of whose labels some are held out; any other is all learned
    from. UserError for what cannot be read, or a project with too few labels."""
    examples: list[Example] = []
    held_out: list[Example] = []
    parts: list[object] = []
    for source in sources:
        layout = Layout(source.resolve())
        if not layout.config_file.is_file():
            found = examples_of(source)
            examples += found
            parts.append([str(example.image_path) for example in found])
            continue
        with Facts.of(layout) as facts:
            own = own_footage(layout, layout.config(), facts)

        def example_of(frame: LabeledFrame, classes: tuple[str, ...] = own.classes) -> Example:
            return masked_example(frame.image, classes, frame.read)

        examples += [example_of(frame) for frame in (*own.human, *own.propagated)]
        held_out += [example_of(frame) for frame in own.held_out]
        parts.append(own.fingerprint)
        say(
            f"{source}: {len(own.human)} labeled and {len(own.propagated)} propagated frame(s) to learn from, "
            f"{len(own.held_out)} labeled one(s) held out to judge by"
        )
    names = tuple(str(source.resolve()) for source in sources)
    return Material(tuple(examples), tuple(held_out), names, fingerprint(parts))
