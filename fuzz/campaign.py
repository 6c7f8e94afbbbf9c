"""
Runs targets for some time each: ``python -m fuzz.campaign SECONDS [TARGETS]``.

Each processor has one at a time. At the end stands how many inputs were tried; the
exit status is 0 when none of them found anything.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

from fuzz.targets import TARGETS

__all__ = ["main", "report", "run_target"]

# What a target prints when its time is over, and when it has found something.
TRIED = re.compile(r"stat::number_of_executed_units: (\d+)")
FOUND = re.compile(r"Test unit written to (\S+)")


def run_target(name: str, seconds: int) -> tuple[int, str]:
    """
    Run a target; return its exit status and what it printed.
    """
    command = [sys.executable, "-m", "fuzz", name, f"-max_total_time={seconds}"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    output = done.stdout.decode(errors="replace")
    log = Path("build", "fuzz", f"{name}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(output, "utf-8")
    return done.returncode, output


def report(name: str, status: int, output: str) -> str:
    """
    Say in a line what happened, or at length what was found.
    """
    tried = TRIED.search(output)
    number = int(tried[1]) if tried else 0
    if status == 0:
        return f"{name}: {number} inputs, nothing found"
    found = FOUND.search(output)
    where = f"found by {found[1]}" if found else f"exit status {status}"
    begin = output.find("=== Uncaught Python exception")
    return f"{name}: {number} inputs, {where}\n{output[max(begin, 0) :][:4000]}"


def main() -> int:
    """
    Run the targets; return how many found something.
    """
    seconds = int(sys.argv[1])
    names = sys.argv[2:] or list(TARGETS)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(run_target, name, seconds): name for name in names}
        for future in concurrent.futures.as_completed(running):
            status, output = future.result()
            print(report(running[future], status, output), flush=True)
            failed += status != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
