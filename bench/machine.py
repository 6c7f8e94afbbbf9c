"""
What the figures were measured on: machine, versions, date.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tools.pythons import examine

from .natives import ROOT

__all__ = ["describe", "is_optimised"]

LIBRARIES = (
    "socketeer",
    "websockets",
    "picows",
    "aiohttp",
    "uvicorn",
    "channels",
    "channels-redis",
    "broadcaster",
    "redis",
    "uvloop",
    "zlib-ng",
)


def is_optimised() -> bool:
    """
    Return whether this Python was compiled with profile-guided optimisation.
    """
    python = examine(sys.executable)
    return python is not None and python.is_optimised


def processor() -> str:
    """
    Return the name of the processor.
    """
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def output(*command: str) -> str:
    """
    Return the first line that a program prints, if it can be run.
    """
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=20, check=False
    )
    return done.stdout.partition("\n")[0].strip()


def node_version(package: str) -> str:
    """
    Return the version of a package of Node.js, or nothing.
    """
    file = ROOT / "bench" / "node_modules" / package / "package.json"
    if not file.exists():
        return ""
    version: str = json.loads(file.read_text("utf-8"))["version"]
    return version


def describe(quick: bool) -> dict[str, str]:
    """
    Return what a reader must know about a run, by headings.
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    found = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": output("git", "describe", "--always", "--dirty"),
        "processor": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": python + ("" if is_optimised() else ", not optimised"),
        "node": output("node", "--version"),
        "run": "quick" if quick else "full",
    }
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    found["ws"] = node_version("ws")
    found["uWebSockets.js"] = node_version("@trufflesuite/uws-js-unofficial")
    return {name: value for name, value in found.items() if value}
