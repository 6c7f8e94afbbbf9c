"""
Compares any servers, side by side, such as two commits of one's own.

    python -m bench.compare echo --size 64 --in-flight 16 \
        "new=python -m bench.servers.coroutines socketeer {port} --loop uvloop" \
        "old=../old/bin/python -m bench.servers.coroutines socketeer {port}"

The first server is compared with each other one. MODE is one of echo, fan,
handshakes and memory. The last line printed is JSON.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys

from .measuring import Bench
from .model import Kind, Row, Settings, Spread, Subject, Target, judge
from .processes import MeasuringError
from .report import figures_of, summary

__all__ = ["MODES", "main", "row_of"]

MODES = {
    "echo": Kind.ECHO,
    "fan": Kind.FAN,
    "handshakes": Kind.HANDSHAKES,
    "memory": Kind.MEMORY,
}


def row_of(options: argparse.Namespace) -> Row:
    """
    Return the row that the command line describes.

    Raises:
        ValueError: A server has no name or no command.
    """
    subjects = []
    for word in options.servers:
        name, equals, command = word.partition("=")
        if not name or not equals or not command:
            raise ValueError(f"a server is NAME=COMMAND, not {word!r}")
        subjects.append(Subject(name, tuple(shlex.split(command))))
    kind = MODES[options.mode]
    first = subjects[0].name
    targets = tuple(Target(first, 1, each.name) for each in subjects[1:])
    load = ["--size", str(options.size), "--in-flight", str(options.in_flight)]
    load += ["--text"] if options.text else []
    return Row(
        "comparison",
        "Comparison",
        kind,
        tuple(subjects),
        targets,
        connections=options.connections,
        load=tuple(load),
    )


def main() -> int:
    """
    Compare what the command line names.
    """
    parser = argparse.ArgumentParser(description="Compare servers side by side.")
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("servers", nargs="+", metavar="NAME=COMMAND")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--size", type=int, default=64, help="payload, bytes")
    parser.add_argument("--in-flight", type=int, default=1, help="per connection")
    parser.add_argument("--text", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each turn")
    options = parser.parse_args()
    settings = Settings(
        rounds=options.rounds,
        seconds=options.seconds,
        memory_rounds=options.rounds,
        memory_connections=options.connections,
    )
    bench = Bench(settings, sys.executable)
    try:
        row = row_of(options)
        samples = bench.measure(row)
    except (MeasuringError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        bench.close()
    print(summary(row, samples), end="")
    figures = figures_of(samples)
    ratios = {}
    for target in row.targets:
        reached = judge(target, figures).reached
        if reached is not None:
            ratios[target.other] = reached.median
    medians = {name: Spread.of(values).median for name, values in figures.items()}
    print(json.dumps({"figures": medians, "ratios": ratios}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
