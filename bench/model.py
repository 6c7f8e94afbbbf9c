"""
Rows of measurements, their targets, and what the figures say about them.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

__all__ = [
    "FLOOR",
    "QUICK",
    "Figures",
    "Kind",
    "Outcome",
    "Row",
    "Settings",
    "Spread",
    "Subject",
    "Target",
    "Verdict",
    "judge",
]

# Figures of each subject, one for each round; rounds belong together.
Figures = Mapping[str, Sequence[float]]

# What must be reached of a target; beyond it, all of it is the goal.
FLOOR = 0.85


class Kind(Enum):
    """
    How a row is measured, and so its unit.
    """

    ECHO = "messages per second"
    FAN = "deliveries per second"
    LATENCY = "microseconds, 99th percentile"
    CLIENT = "round trips per second"
    HANDSHAKES = "handshakes per second"
    MEMORY = "bytes per connection"
    CPU = "per cent of a core"
    IMPORT = "milliseconds"

    @property
    def more_is_better(self) -> bool:
        """
        Whether a larger figure is the better one.
        """
        return self not in {Kind.LATENCY, Kind.MEMORY, Kind.CPU, Kind.IMPORT}


@dataclass(frozen=True)
class Subject:
    """
    What is measured: a program with its settings.

    Attributes:
        name: What it is called in the results.
        command: The program; ``{port}`` stands for its port, ``{tls}`` for the
            file with a certificate, ``{redis}`` for the address of a Redis.
        environ: Environment variables for it.
        load: Further arguments for the load generator.
    """

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    load: tuple[str, ...] = ()

    @property
    def loop(self) -> str:
        """
        The event loop it runs on, if it is a program in Python.
        """
        return self.command[-1]

    @property
    def needs_node(self) -> bool:
        """
        Whether it runs on Node.js.
        """
        return self.command[0] == "node"

    @property
    def needs_redis(self) -> bool:
        """
        Whether it publishes through Redis.
        """
        return "{redis}" in self.command


class Verdict(Enum):
    """
    What became of a target.
    """

    OK = "ok"
    FLOOR = "≥ 85 %"
    MISSED = "missed"
    UNKNOWN = "not measured"


class Spread(NamedTuple):
    """
    A median with the range of the rounds.
    """

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """
        Sum up the values of all rounds.
        """
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Target:
    """
    What is wanted of one subject, alone or compared to another.

    Attributes:
        subject: The name of the subject.
        limit: The figure, ratio or difference that is wanted.
        other: The subject it is compared to, if any.
        at_least: Whether the limit is a lower one.
        difference: Whether to subtract instead of dividing.
    """

    subject: str
    limit: float
    other: str | None = None
    at_least: bool = True
    difference: bool = False

    def values(self, figures: Figures) -> list[float]:
        """
        Return what was reached in each round; nothing if it was not measured.
        """
        mine = figures.get(self.subject, ())
        if self.other is None:
            return list(mine)
        pairs = zip(mine, figures.get(self.other, ()), strict=False)
        if self.difference:
            return [a - b for a, b in pairs]
        return [a / b for a, b in pairs if b]

    @property
    def wanted(self) -> str:
        """
        The target in words, without the names.
        """
        sign = "≥" if self.at_least else "≤"
        unit = "" if self.other is None or self.difference else " ×"  # noqa: RUF001
        return f"{sign} {self.limit:,.10g}{unit}".replace(",", " ")


class Outcome(NamedTuple):
    """
    A target with what was reached.
    """

    target: Target
    reached: Spread | None
    verdict: Verdict


def judge(target: Target, figures: Figures) -> Outcome:
    """
    Compare the median of the rounds with a target.
    """
    values = target.values(figures)
    if not values:
        return Outcome(target, None, Verdict.UNKNOWN)
    reached = Spread.of(values)
    # What is small in comparison is good if there is an upper limit.
    share = reached.median / target.limit
    if not target.at_least:
        share = target.limit / reached.median if reached.median > 0 else 1.0
    verdict = Verdict.MISSED
    if share >= 1:
        verdict = Verdict.OK
    elif share >= FLOOR:
        verdict = Verdict.FLOOR
    return Outcome(target, reached, verdict)


@dataclass(frozen=True)
class Row:
    """
    One measurement: subjects under the same load, in turn.

    Attributes:
        name: For the command line and in files of results.
        title: For readers.
        kind: How it is measured.
        subjects: What is measured, our own first.
        targets: What is wanted.
        connections: How many.
        load: Arguments for the load generator or the client.
        note: What a reader should know.
        yardstick: The subject that shows what the machine has to give.
    """

    name: str
    title: str
    kind: Kind
    subjects: tuple[Subject, ...]
    targets: tuple[Target, ...]
    connections: int = 50
    load: tuple[str, ...] = ()
    note: str = ""
    yardstick: str = ""

    def most(self, target: Target, figures: Figures) -> float | None:
        """
        Return the ratio that the yardstick would reach, if it was measured.
        """
        if not self.yardstick or target.other is None or target.difference:
            return None
        values = replace(target, subject=self.yardstick).values(figures)
        return statistics.median(values) if values else None

    @property
    def needs_tls(self) -> bool:
        """
        Whether the load generator must speak TLS.
        """
        return any("--tls" in (*self.load, *s.load) for s in self.subjects)


@dataclass(frozen=True)
class Settings:
    """
    How long to measure.

    Attributes:
        rounds: How often each subject gets its turn.
        seconds: How long it is under load each time.
        warmup: How long it is under load before, uncounted.
        memory_rounds: How often a server is started to look at its memory.
        memory_connections: How many connections share that memory.
        idle_connections: How many are watched for what keepalive costs.
        idle_interval: Seconds between their pings.
    """

    rounds: int = 7
    seconds: float = 0.4
    warmup: float = 0.1
    memory_rounds: int = 3
    memory_connections: int = 2000
    idle_connections: int = 20_000
    idle_interval: float = 20.0


QUICK = Settings(
    rounds=3,
    seconds=0.15,
    warmup=0.05,
    memory_rounds=1,
    memory_connections=1000,
    idle_connections=4000,
    idle_interval=4.0,
)
