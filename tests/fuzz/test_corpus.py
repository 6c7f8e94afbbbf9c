"""
Inputs that were once chosen, or found, for fuzzing: no target objects to them.

Without atheris, and within seconds, this says that targets work, and that what was
found once stays repaired.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent.parent.parent / "fuzz" / "corpus"

INPUTS = [
    pytest.param(target, path, id=f"{target}-{path.name}")
    for target in TARGETS
    for path in sorted((CORPUS / target).iterdir())
]


@pytest.mark.parametrize(("target", "path"), INPUTS)
def test_no_target_objects_to_an_input(target, path):
    """
    What a target checks holds for this input.
    """
    importlib.import_module(f"fuzz.targets.{target}").run(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_objects_to_nothing(target):
    """
    Fuzzing begins with an empty input.
    """
    importlib.import_module(f"fuzz.targets.{target}").run(b"")
