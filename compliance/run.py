"""
Runs the Autobahn test suite against servers and clients made with Socketeer.

    python compliance/run.py PYTHON                  everything
    python compliance/run.py PYTHON --short          what takes seconds
    python compliance/run.py PYTHON --cases '6.*,7.1.5' --role client --build pure

PYTHON is an interpreter which has Socketeer. The suite is set up by ``setup.sh``.
The exit status is 0 when every case is strictly OK or only informs.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from document import write_figures
from processes import (
    LAUNCHER,
    LOOPBACK,
    Program,
    Suite,
    SuiteError,
    free_port,
    wait_for_port,
)
from verdicts import Run, read_results

__all__ = ["main"]

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
DEFAULT_SUITE = Path(os.environ.get("AUTOBAHN_VENV", CACHE / "socketeer" / "autobahn"))

# Each has a server and a client in peers/.
PEERS = HERE / "peers"
ROOMS = sorted(path.stem.partition("_")[0] for path in PEERS.glob("*_server.py"))
ROLES = ("server", "client")
BUILDS = ("fast", "pure")

# Everything that a browser's users could notice, in seconds: without the cases
# that measure speed, and with one of each kind of compression.
SHORT = [f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 10)]
SHORT += ["9.1.1", "9.2.1", "9.3.1", "12.1.1", "12.3.1", "13.1.1", "13.3.1", "13.5.1"]

# Cases of group 9 send messages in up to 65 537 fragments. The default limit,
# 4096, is there to refuse exactly that.
ENVIRONMENT = {"SOCKETEER_MAX_FRAGMENTS": str(2**17)}

# Seconds without a new case, after which a run is given up; the longest take 120
# on a slow machine.
STALL_TIMEOUT = 240.0


def selected_cases(suite: Path, patterns: list[str], folder: Path) -> list[str]:
    """
    Return the cases that patterns such as ``6.4.*`` select.

    Raises:
        SuiteError: There is no such case.
    """
    spec = folder / "cases.json"
    spec.write_text(json.dumps({"cases": patterns}), "utf-8")
    command = [str(suite), "-E", "-s", str(LAUNCHER), "--list-cases", str(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SuiteError(f"the suite refuses the selection: {done.stderr.strip()}")
    cases: list[str] = json.loads(done.stdout)["cases"]
    return cases


def write_spec(folder: Path, cases: list[str], **more: object) -> Path:
    """
    Write what wstest is to do into an empty folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.json", "*.html", "*.log"):
        for path in folder.glob(pattern):
            path.unlink()
    spec = folder / "spec.json"
    wanted = {"cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
    spec.write_text(json.dumps({"outdir": str(folder), **wanted, **more}), "utf-8")
    return spec


def wait_for_end(suite: Suite, peer: Program, leader: Program) -> None:
    """
    Wait until the leader of the two has done everything.

    Raises:
        SuiteError: The other one ended before, or nothing happened any more.
    """
    while leader.status() is None:
        other = peer if leader is suite else suite
        if other.status() is not None:
            raise SuiteError(f"it ended at case {suite.case}:\n{other.tail()}")
        if time.monotonic() - suite.last > STALL_TIMEOUT:
            raise SuiteError(f"no progress at case {suite.case}")
        time.sleep(0.05)
    if leader.status():
        raise SuiteError(f"exit status {leader.status()}:\n{leader.tail()}")


def run_peer(
    python: str,
    suite: Path,
    cases: list[str],
    folder: Path,
    room: str,
    role: str,
    build: str,
) -> Run:
    """
    Run cases against one peer.
    """
    agent = f"{room}-{role}-{build}"
    folder = folder.resolve() / agent
    environment = {**ENVIRONMENT, "SOCKETEER_CORE": build}
    port = free_port()
    url = f"ws://{LOOPBACK}:{port}"
    program = [python, str(PEERS / f"{room}_{role}.py")]
    begun = time.monotonic()
    log = folder / f"{role}.log"
    with contextlib.ExitStack() as stack:
        if role == "server":
            spec = write_spec(folder, cases, servers=[{"agent": agent, "url": url}])
            peer = stack.enter_context(Program([*program, str(port)], log, environment))
            wait_for_port(peer, port)
            test = stack.enter_context(Suite(suite, "fuzzingclient", spec))
            wait_for_end(test, peer, test)
        else:
            spec = write_spec(folder, cases, url=url)
            test = stack.enter_context(Suite(suite, "fuzzingserver", spec))
            wait_for_port(test, port)
            peer = stack.enter_context(
                Program([*program, url, agent], log, environment)
            )
            wait_for_end(test, peer, peer)
    seconds = time.monotonic() - begun
    return Run(room, role, build, *read_results(folder, agent, cases), seconds)


def parse_arguments() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(description="Run the Autobahn test suite.")
    parser.add_argument("python", help="an interpreter that has Socketeer")
    parser.add_argument("--room", action="append", choices=ROOMS)
    parser.add_argument("--role", action="append", choices=ROLES)
    parser.add_argument("--build", action="append", choices=BUILDS)
    parser.add_argument("--cases", help="patterns with commas between them")
    parser.add_argument("--short", action="store_true", help="a choice of cases")
    parser.add_argument("--suite", type=Path, default=DEFAULT_SUITE)
    parser.add_argument("--out", type=Path, default=Path("build/autobahn"))
    parser.add_argument("--document", type=Path, help="a page to write figures into")
    return parser.parse_args()


def main() -> int:
    """
    Run all peers that were asked for; return the exit status.
    """
    options = parse_arguments()
    patterns = options.cases.split(",") if options.cases else ["*"]
    options.out.mkdir(parents=True, exist_ok=True)
    suite = options.suite / "bin" / "python"
    cases = selected_cases(suite, SHORT if options.short else patterns, options.out)
    runs = []
    for room, role, build in itertools.product(
        options.room or ROOMS, options.role or ROLES, options.build or BUILDS
    ):
        run = run_peer(options.python, suite, cases, options.out, room, role, build)
        for case, note in run.notes.items():
            print(f"{run.name}: {case}: {note}")
        print(run.summary(), flush=True)
        run.save(options.out)
        runs.append(run)
    if options.document:
        kept = [run.kept(options.out) for run in runs]
        write_figures(options.document, kept, options.python)
    return 0 if all(run.is_good for run in runs) else 1


if __name__ == "__main__":
    # As ^C does: the programs that were started end, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except SuiteError as exc:
        print(f"autobahn: {exc}", file=sys.stderr)
        sys.exit(2)
