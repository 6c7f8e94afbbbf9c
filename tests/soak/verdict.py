"""
Whether a quantity has stayed where it was.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from tests.soak.measuring import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["growth", "verdicts"]

# What a median may be above an earlier one: by a part of it, and by a number. Memory
# is in MiB; an allocator keeps what it may need again. Connections come and go.
TOLERANCE = {
    "memory": (0.05, 4.0),
    "descriptors": (0.10, 10.0),
    "tasks": (0.10, 10.0),
    "timers": (0.15, 20.0),
}


def growth(values: Sequence[float]) -> tuple[float, float]:
    """
    Return the medians of the second and of the last quarter: the first is the
    beginning, when everything grows.
    """
    quarter = len(values) // 4
    return (
        statistics.median(values[quarter : 2 * quarter]),
        statistics.median(values[-quarter:]),
    )


def verdicts(name: str, samples: Sequence[dict[str, float]]) -> list[str]:
    """
    Return what has grown, one line for each quantity.

    Args:
        name: Of the process.
        samples: In order of time.
    """
    if len(samples) < 8:
        return [f"{name}: only {len(samples)} samples"]
    found = []
    for quantity in QUANTITIES:
        before, after = growth([sample[quantity] for sample in samples])
        part, number = TOLERANCE[quantity]
        if after > before * (1 + part) + number:
            found.append(f"{name}: {quantity} grew from {before:.1f} to {after:.1f}")
    return found
