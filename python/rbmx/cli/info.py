"""`rbmx info`: what this installation is, or what a model file holds."""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import numpy as np

import rbmx
from rbmx.cli.model_facts import model_facts

__all__ = ["SUMMARY", "add_arguments", "build_facts", "run"]

SUMMARY = "what this build can do, or what a model file holds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, or nothing."""
    parser.add_argument("model", metavar="MODEL", nargs="?", type=Path, help="a file of any of our models")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Print the facts."""
    facts = build_facts() if args.model is None else model_facts(args.model)
    if args.json:
        print(json.dumps(facts))
        return 0
    width = max(len(name) for name in facts)
    for name, text in facts.items():
        print(f"{name:<{width}}  {text}")
    return 0


def build_facts() -> dict[str, str]:
    """Versions, instruction sets, threads, BLAS: what can change the speed."""
    facts = {name: _plain(value) for name, value in rbmx.build_info().items()}
    return {**facts, "python": platform.python_version(), "numpy": np.__version__}


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)
