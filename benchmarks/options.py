"""What all benchmarks share on their command line, and how they end."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from workspace.config import Config, parse_config
from workspace.errors import UserError
from workspace.files import check_writable as check_writable
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
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="any setting of configs/default.yaml, for example propagation.tuning_steps=0; may be repeated",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    return parser


def segmenter_of(options: argparse.Namespace) -> dict[str, Any]:
    """The settings' segmenter section."""
    name = options.segmenter or ("mobilenet_v2" if options.weights else "compact")
    weights = options.weights
    if weights is not None and Path(weights).exists():
        weights = str(Path(weights).resolve())
    return {"name": name, "weights": weights}


def settings_of(options: argparse.Namespace, classes: Sequence[str] = ("a", "b"), **sections: dict[str, Any]) -> Config:
    """The whole settings: the product's defaults, the benchmark's own `sections`, then each --set."""
    values: dict[str, Any] = {
        "project": {"name": "benchmark", "classes": list(classes)},
        "stopping": {"quality": None},
        "segmenter": segmenter_of(options),
        "propagation": {"seed": options.seed},
        "selection": {"seed": options.seed},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    for word in options.set:
        key, equals, value = word.partition("=")
        section, dot, name = key.partition(".")
        if not (equals and dot and section in Config.model_fields):
            raise UserError(f"--set {word!r} is no setting.", "Write --set SECTION.KEY=VALUE.")
        try:
            values[section] = values.get(section, {}) | {name: yaml.safe_load(value)}
        except yaml.YAMLError:
            raise UserError(f"--set {word!r}: {value!r} is no value.") from None
    return parse_config(values, "The benchmark's command line")


def write_result(out: Path | None, result: Any) -> None:
    if out is not None:
        try:
            write_bytes(out, (json.dumps(result, indent=1) + "\n").encode())
        except OSError as error:
            raise UserError(f"{out} cannot be written: {error.strerror}.") from None


def run_benchmark(main: Callable[[], None]) -> int:
    """The exit code: 2 with one line for a user's error, as argparse does."""
    try:
        main()
    except UserError as error:
        print(f"Error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0
