"""Which labels to look at again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def review(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    video: Annotated[str | None, typer.Option(help="One video's id; all by default.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many labels per video.")] = 10,
    flow_only: Annotated[
        bool, typer.Option("--flow-only", help="Ask no model, only the labels of neighbouring frames: quicker.")
    ] = False,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask people in Label Studio to accept, correct or reject those shown.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the whole order as JSON.")] = None,
) -> None:
    """Put labels in the order in which they are most likely wrong, and say why.

    Example: fewclicks review street --limit 20
    """
    from functools import partial

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from fewclicks.progress_bars import progress_bars
    from flows.context import open_context
    from flows.frame_files import FlowFiles, FrameFiles
    from flows.review_tasks import ask_by_hand
    from flows.reviewing import video_to_review
    from flows.tools import label_studio_tool
    from propagation.flow import dis_flow
    from workspace.errors import UserError
    from workspace.facts import Facts
    from workspace.files import check_writable, write_json
    from workspace.layout import Layout

    check_writable(out)
    layout = Layout(folder.resolve())
    config = layout.config()
    names = config.project.class_names
    side = config.propagation.flow_max_side
    every = []
    context = None
    if ask:  # before the long look: is there anybody to ask?
        reviews = label_studio_tool(layout, config, review=True)
        context = open_context(layout.root, label_studio_tool(layout, config), reviews=reviews)
    with Facts.of(layout) as facts:
        rows = [facts.video(video)] if video else facts.videos()
        if not rows:
            raise UserError(f"{layout.root} has no videos.", f"Add one with `fewclicks add {folder} VIDEO`.")
        for row in rows:
            frames = FrameFiles(layout, row.video)
            flow = FlowFiles(layout.flow(row.video.id) / f"dis-{side}", frames, partial(dis_flow, max_side=side))
            with progress_bars(Console(stderr=True)) as show:
                found = video_to_review(
                    layout, facts, row.video, flow, len(names), None if flow_only else config.segmenter,
                    config.propagation, partial(show, f"looking at {row.video.id}"),
                )  # fmt: skip
            if found is None:
                print(f"{row.video.id}: fewer than two labeled frames, nothing to compare with yet.")
                continue
            table = Table("", "frame", "suspicion", "reason", title=escape(row.video.id))
            for rank, position in enumerate(found.found.order.tolist(), start=1):
                frame, suspicion = int(found.frames[position]), float(found.found.suspicion[position])
                reason = found.reason(position, names)
                entry = {"video": row.video.id, "rank": rank, "frame": frame, "suspicion": round(suspicion, 4)}
                every.append(entry | {"reason": reason})
                if rank <= limit:
                    table.add_row(str(rank), str(frame), f"{suspicion:.1f}", escape(reason))
            Console().print(table)
            if context is not None:
                worst = [(int(found.frames[p]), found.reason(p, names)) for p in found.found.order[:limit].tolist()]
                print(ask_by_hand(context, row.video.id, worst))
    if out is not None:
        write_json(out, every)
