"""
Measures rows, writes the results and the page about them.

    python -m bench [--rows echo,broadcast] [--quick] [--list]
    python -m bench --render        # the page again, from the last results
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from .machine import describe, is_optimised
from .measuring import Bench
from .memory import portray
from .model import QUICK, Kind, Row, Settings
from .natives import ROOT, CompilerError
from .processes import MeasuringError
from .report import Results, summary, write_page
from .rows import ROWS, named

RESULTS = ROOT / "build" / "bench" / "results.json"


def measure(rows: list[Row], settings: Settings, quick: bool) -> Results:
    """
    Measure rows, one after the other, and print what comes out.
    """
    results: Results = {
        "about": describe(quick),
        "rows": {},
        "memory": [],
        "failed": [],
    }
    bench = Bench(settings, sys.executable)
    try:
        for row in rows:
            begin = time.monotonic()
            print(f"\n{row.title}", flush=True)
            try:
                results["rows"][row.name] = bench.measure(row)
            except MeasuringError as error:
                print(f"  not measured: {error}")
                results["failed"].append(row.name)
                continue
            print(summary(row, results["rows"][row.name]), end="")
            print(f"  ({time.monotonic() - begin:.0f} s)", flush=True)
            if row.kind is Kind.MEMORY:
                results["memory"].append(portray(row.subjects[0].loop))
    finally:
        bench.close()
    return results


def merged(old: Path, new: Results) -> Results:
    """
    Return results with the rows of an earlier run of the same kind kept.
    """
    if not old.exists():
        return new
    before: Results = json.loads(old.read_text("utf-8"))
    same = {
        key: v for key, v in before["about"].items() if key not in {"date", "commit"}
    }
    if any(new["about"].get(key) != value for key, value in same.items()):
        return new
    return {
        "about": new["about"],
        "rows": {**before["rows"], **new["rows"]},
        "memory": new["memory"] or before["memory"],
        "failed": new["failed"],
    }


def main() -> int:
    """
    Run what the command line asks for.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="names, or how they begin")
    parser.add_argument("--quick", action="store_true", help="2 minutes instead of 10")
    parser.add_argument("--list", action="store_true", help="print the rows' names")
    parser.add_argument("--render", action="store_true", help="write the page only")
    parser.add_argument("--no-page", action="store_true", help="do not touch docs/")
    options = parser.parse_args()
    if options.list:
        for row in ROWS:
            print(f"{row.name:22} {row.title} [{row.kind.value}]")
        return 0
    failed: list[str] = []
    if not options.render:
        try:
            rows = named(options.rows)
            if not is_optimised():
                print("this Python is not an optimised build; Debian's is")
            results = measure(
                rows, QUICK if options.quick else Settings(), options.quick
            )
        except (ValueError, CompilerError) as error:
            print(error, file=sys.stderr)
            return 1
        failed = results["failed"]
        if options.rows:
            results = merged(RESULTS, results)
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1), "utf-8")
    if not options.no_page:
        write_page(json.loads(RESULTS.read_text("utf-8")))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
