"""
Runs all variants at the same time, compares, and draws.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import trustme

from tests.soak.measuring import QUANTITIES
from tests.soak.verdict import growth, verdicts


@dataclasses.dataclass
class Variant:
    """
    A pair of processes, a server and its clients.
    """

    name: str
    core: str
    loop: str
    tls: bool
    debug: bool = False
    samples: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    trouble: list[str] = dataclasses.field(default_factory=list)
    statistics: dict[str, int] = dataclasses.field(default_factory=dict)


VARIANTS = [
    Variant("compiled, uvloop", "fast", "uvloop", False),
    Variant("compiled, asyncio, TLS", "fast", "asyncio", True),
    Variant("interpreted, asyncio", "pure", "asyncio", False),
    Variant("interpreted, uvloop, TLS", "pure", "uvloop", True),
    Variant("compiled, asyncio, debug", "fast", "asyncio", False, debug=True),
]


async def start(
    variant: Variant, module: str, *arguments: str
) -> asyncio.subprocess.Process:
    """
    Start one of the two processes of a variant.
    """
    # Warnings are errors in debug mode, and asyncio looks at everything.
    options = ["-X", "dev", "-W", "error"] if variant.debug else []
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *options,
        "-m",
        f"tests.soak.{module}",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "SOCKETEER_CORE": variant.core,
            "SOAK_LOOP": variant.loop,
            # A busy machine is not what this is about.
            "SOCKETEER_BLOCKED_AFTER": "60",
        },
    )


async def collect(
    variant: Variant, role: str, process: asyncio.subprocess.Process
) -> None:
    """
    Read what a process reports, until it ends.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    samples = variant.samples.setdefault(role, [])
    async for line in process.stdout:
        reported = json.loads(line)
        if "statistics" in reported:
            variant.statistics = reported["statistics"]
            continue
        said = reported.pop("complaints")
        variant.trouble += [f"{role} said: {each}" for each in said]
        samples.append(reported)
    text = (await errors).decode()
    if text:
        variant.trouble.append(f"{role} wrote: {text[-3000:]}")
    status = await process.wait()
    if status:
        variant.trouble.append(f"{role} ended with status {status}")
    variant.trouble += verdicts(role, samples)


async def soak(variant: Variant, options: argparse.Namespace, keys: Path) -> None:
    """
    Run a variant to its end.
    """
    interval = str(max(1.0, min(10.0, options.seconds / 60)))
    common = ["--seconds", str(options.seconds), "--interval", interval]
    of_server, of_client = [], []
    if variant.tls:
        of_server = ["--certificate", str(keys / "server.pem")]
        of_client = ["--authority", str(keys / "authority.pem")]
    server = await start(variant, "serving", *common, *of_server)
    assert server.stdout is not None
    port = (await server.stdout.readline()).decode().strip()
    client = await start(
        variant,
        "churning",
        *common,
        *of_client,
        "--port",
        port,
        "--connections",
        str(options.connections // len(VARIANTS)),
        "--rate",
        str(options.rate / len(VARIANTS)),
    )
    try:
        await asyncio.gather(
            collect(variant, "server", server), collect(variant, "client", client)
        )
    finally:
        for process in (server, client):
            if process.returncode is None:
                process.kill()
                await process.wait()


def make_certificates(folder: Path) -> None:
    """
    Write a certificate for localhost, and that of who has signed it.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))


def draw(file: Path) -> None:
    """
    Draw what was measured.
    """
    # Installed for long runs only.
    figures = importlib.import_module("matplotlib.figure")
    figure = figures.Figure(figsize=(11, 12), layout="constrained")
    axes = figure.subplots(len(QUANTITIES), 1, sharex=True)
    for axis, quantity in zip(axes, QUANTITIES, strict=True):
        for number, variant in enumerate(VARIANTS):
            for role, samples in variant.samples.items():
                axis.plot(
                    [sample["at"] / 60 for sample in samples],
                    [sample[quantity] for sample in samples],
                    color=f"C{number}",
                    linestyle="-" if role == "server" else ":",
                    label=f"{variant.name}: {role}",
                )
        axis.set_ylim(bottom=0)
        axis.set_ylabel("memory, MiB" if quantity == "memory" else quantity)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("minutes")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100)


def tell() -> int:
    """
    Print the results; return how many variants are in trouble.
    """
    for variant in VARIANTS:
        opened, accepted = (
            variant.statistics.get(name, 0) for name in ("opened", "accepted")
        )
        print(f"{variant.name}: {accepted} accepted, {opened} opened")
        for role, samples in variant.samples.items():
            if len(samples) >= 8:
                parts = []
                for quantity in QUANTITIES:
                    before, after = growth([each[quantity] for each in samples])
                    parts.append(f"{quantity} {before:.0f} -> {after:.0f}")
                print(f"  {role}: {', '.join(parts)}")
        for line in variant.trouble:
            print(f"  TROUBLE: {line}")
    return sum(bool(variant.trouble) for variant in VARIANTS)


async def main() -> int:
    """
    Run, draw, tell.
    """
    parser = argparse.ArgumentParser(description="Churn, and look what grows.")
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--connections", type=int, default=2000, help="in all")
    parser.add_argument("--rate", type=float, default=100, help="new ones a second")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if importlib.util.find_spec("socketeer._fast.session") is None:
        VARIANTS[:] = [each for each in VARIANTS if each.core == "pure"]
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(Path(folder))
        await asyncio.gather(
            *(soak(variant, options, Path(folder)) for variant in VARIANTS)
        )
    if options.plot is not None:
        draw(options.plot)
    return tell()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
