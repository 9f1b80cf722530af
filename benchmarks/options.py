"""What all benchmarks share on their command line, and how they end."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workspace.errors import UserError
from workspace.files import write_bytes


def benchmark_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for `python -m benchmarks.NAME` with seed, segmenter, weights and out."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--segmenter", metavar="NAME", help="mobilenet_v2 if weights are given, compact (from nothing) otherwise"
    )
    parser.add_argument("--weights", metavar="PATH", help="a local state dict or a torchvision weights name")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    return parser


def segmenter_of(options: argparse.Namespace) -> dict[str, Any]:
    """The settings' segmenter section."""
    name = options.segmenter or ("mobilenet_v2" if options.weights else "compact")
    weights = options.weights
    if weights is not None and Path(weights).exists():
        weights = str(Path(weights).resolve())
    return {"name": name, "weights": weights}


def write_result(out: Path | None, result: Any) -> None:
    if out is not None:
        try:
            write_bytes(out, (json.dumps(result, indent=1) + "\n").encode())
        except OSError as error:
            raise UserError(f"{out} cannot be written: {error.strerror}.") from None


def check_writable(out: Path | None) -> None:
    """UserError before the long work begins if `out` could not be written at its end."""
    if out is not None and (out.is_dir() or not out.resolve().parent.is_dir()):
        raise UserError(f"{out} cannot be written.", "Name a file in a folder that exists.")


def run_benchmark(main: Callable[[], None]) -> int:
    """The exit code: 2 with one line for a user's error, as argparse does."""
    try:
        main()
    except UserError as error:
        print(f"Error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0
