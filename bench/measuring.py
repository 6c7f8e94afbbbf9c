"""
Measures rows: each kind in its own way, all subjects in turn, round by round.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trustme

from . import messages
from .model import Kind, Row, Settings, Subject
from .natives import build, has_tls
from .processes import (
    FIRST,
    MeasuringError,
    Server,
    cores,
    hold,
    load,
    resident,
    run_client,
)

__all__ = ["Bench", "Sample"]

# What was measured in one round: its "value", and what else is known.
Sample = dict[str, Any]

# Open files that a server needs besides its connections.
SPARE_FILES = 100

# TLS may take 300 KiB for each.
MOST_TLS_CONNECTIONS = 1000

# What the load generator calls it.
MODES = {
    Kind.ECHO: "echo",
    Kind.FAN: "fan",
    Kind.LATENCY: "fan",
    Kind.HANDSHAKES: "connect",
}

REDIS = ("redis-server", "valkey-server")

IMPORTS_PER_ROUND = 3
IMPORTING = (
    "import json, time; begin = time.perf_counter(); import {module}; "
    "print(json.dumps({{'value': (time.perf_counter() - begin) * 1e3}}))"
)


def raise_file_limit(wanted: int) -> int:
    """
    Return how many connections up to a number the limit of open files allows.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_FILES
    if hard < needed:
        # Only root may.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, hard - SPARE_FILES)


def redis_program() -> str | None:
    """
    Return the path of a Redis or Valkey server, if there is one.
    """
    return next(filter(None, map(shutil.which, REDIS)), None)


def redis_server(core: int) -> Server:
    """
    Start a Redis that keeps nothing.
    """
    words = ("--bind", "127.0.0.1", "--save", "", "--loglevel", "warning")
    return Server(
        "Redis", [redis_program() or REDIS[0], "--port", "{port}", *words], core
    )


class Bench:
    """
    A place to measure in, with everything that rows need.

    Args:
        settings: How long to measure.
        python: The interpreter that imports modules.
        say: Called with what a person should know.
    """

    def __init__(
        self, settings: Settings, python: str, say: Callable[[str], None] = print
    ) -> None:
        self.settings = settings
        self._python = python
        self._say = say
        self._core, self._load_core = cores()
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self._words = self._prepare(Path(self._folder.name))

    def _prepare(self, folder: Path) -> dict[str, str]:
        certificate = folder / "certificate.pem"
        issued = trustme.CA().issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
        messages.write_script(folder / "script", 1024)
        return {
            "{tls}": str(certificate),
            "{script}": str(folder / "script"),
            "{echoserver}": str(build("echoserver").path),
            "{tls-echoserver}": str(build("echoserver", tls=True).path),
            "{interval}": f"{self.settings.idle_interval:g}",
        }

    def close(self) -> None:
        """
        Remove temporary files.
        """
        self._folder.cleanup()

    def _filled(self, words: tuple[str, ...]) -> list[str]:
        return [self._words.get(word, word) for word in words]

    def _start(self, subject: Subject) -> Server:
        command = self._filled(subject.command)
        return Server(subject.name, command, self._core, subject.environ)

    def possible(self, row: Row) -> list[Subject]:
        """
        Return the subjects that can be measured here; say why others cannot.
        """
        subjects = list(row.subjects)
        if row.needs_tls and not has_tls():
            self._say(
                f"{row.name}: OpenSSL's headers are missing (Debian: libssl-dev); "
                "nothing over TLS is measured"
            )
            secure = "--tls" in row.load
            subjects = [s for s in subjects if not secure and "--tls" not in s.load]
        if any(s.needs_node for s in subjects) and not shutil.which("node"):
            self._say(f"{row.name}: Node.js is missing; its servers are left out")
            subjects = [s for s in subjects if not s.needs_node]
        if any(s.needs_redis for s in subjects) and not redis_program():
            self._say(f"{row.name}: redis-server is missing; only memory is measured")
            subjects = [s for s in subjects if not s.needs_redis]
        return subjects

    def measure(self, row: Row) -> dict[str, list[Sample]]:
        """
        Measure a row; return the samples of each subject, round by round.

        Raises:
            MeasuringError: Something did not do its work.
        """
        subjects = self.possible(row)
        samples: dict[str, list[Sample]] = {s.name: [] for s in subjects}
        if not subjects:
            return {}
        with self._ways(row, subjects) as measure:
            for number in range(self._rounds(row)):
                # Whoever comes first in one round comes later in the next.
                first = number % len(subjects)
                for subject in subjects[first:] + subjects[:first]:
                    samples[subject.name].append(measure(subject))
        return samples

    def _rounds(self, row: Row) -> int:
        if row.kind is Kind.CPU:
            return 1
        if row.kind is Kind.MEMORY:
            return self.settings.memory_rounds
        return self.settings.rounds

    @contextlib.contextmanager
    def _ways(
        self, row: Row, subjects: list[Subject]
    ) -> Iterator[Callable[[Subject], Sample]]:
        if row.kind is Kind.MEMORY:
            yield self._memory
        elif row.kind is Kind.CPU:
            yield self._idle_cpu
        elif row.kind is Kind.IMPORT:
            yield self._import
        elif row.kind is Kind.CLIENT:
            command = self._filled(("{echoserver}", "{port}"))
            with Server("echo server", command, self._load_core) as server:
                yield lambda subject: self._client(row, subject, server)
        else:
            servers: dict[str, Server] = {}
            with contextlib.ExitStack() as stack:
                if any(subject.needs_redis for subject in subjects):
                    redis = stack.enter_context(redis_server(self._load_core))
                    self._words["{redis}"] = f"redis://127.0.0.1:{redis.port}"
                for subject in subjects:
                    server = stack.enter_context(self._start(subject))
                    servers[subject.name] = server
                yield lambda subject: self._loaded(row, subject, servers[subject.name])

    def _loaded(self, row: Row, subject: Subject, server: Server) -> Sample:
        settings = self.settings
        arguments = ["--mode", MODES[row.kind], "--connections", str(row.connections)]
        arguments += ["--seconds", str(settings.seconds)]
        arguments += ["--warmup", str(settings.warmup)]
        arguments += ["--watch", str(server.process.pid)]
        arguments += self._filled((*row.load, *subject.load))
        server.settle()
        try:
            report = load(server.port, self._load_core, arguments, settings.seconds)
            # Closing connections takes the core from whoever is next.
            server.settle()
            return judged(row.kind, report)
        except MeasuringError as error:
            raise MeasuringError(
                f"{row.name}, {subject.name}: {error} {server.output()}"
            ) from None

    def _client(self, row: Row, subject: Subject, server: Server) -> Sample:
        words = [w.replace("{port}", str(server.port)) for w in subject.command]
        words += ["--connections", str(row.connections), *row.load]
        words += ["--seconds", str(self.settings.seconds)]
        words += ["--warmup", str(self.settings.warmup)]
        seconds = self.settings.seconds + self.settings.warmup
        report = run_client(words, self._core, seconds, subject.environ)
        return {"value": report["messages"] / report["seconds"]}

    def _memory(self, subject: Subject) -> Sample:
        count = raise_file_limit(self.settings.memory_connections + FIRST)
        if "--tls" in subject.load:
            count = min(count, MOST_TLS_CONNECTIONS)
        count -= FIRST
        command = self._filled(subject.command)
        value = resident(command, count, subject.load, subject.environ)
        return {"value": value, "connections": count}

    def _idle_cpu(self, subject: Subject) -> Sample:
        wanted = self.settings.idle_connections
        count = raise_file_limit(wanted)
        if count < wanted:
            self._say(
                f"the limit of open files allows {count} of {wanted} connections; "
                "raise it with ulimit -n"
            )
        server = self._start(subject)
        interval = self.settings.idle_interval
        try:
            with hold(server.port, self._load_core, count) as report:
                # From the first ping on, until each had one.
                time.sleep(interval)
                begin, used = time.monotonic(), server.cpu_seconds()
                time.sleep(interval)
                used = server.cpu_seconds() - used
                value = 100 * used / (time.monotonic() - begin)
        finally:
            server.stop()
        pings = {"pings": report["pings"], "interval": interval}
        return {"value": value, "connections": count, **pings}

    def _import(self, subject: Subject) -> Sample:
        program = IMPORTING.format(module=subject.command[0])
        command = [self._python, "-c", program]
        # Users have compiled files beside the sources; the first run makes them.
        environ = {**subject.environ, "PYTHONDONTWRITEBYTECODE": ""}
        runs = [
            run_client(command, self._core, 10, environ)["value"]
            for _ in range(IMPORTS_PER_ROUND)
        ]
        return {"value": min(runs)}


def judged(kind: Kind, report: dict[str, Any]) -> Sample:
    """
    Return the sample that a report of the load generator makes.

    Raises:
        MeasuringError: Not one message came back.
    """
    if kind is not Kind.HANDSHAKES and not report["messages"]:
        raise MeasuringError("no message came back in time")
    busy = {name: report[name] for name in ("server_core", "load_core")}
    if kind is Kind.HANDSHAKES:
        return {"value": report["connections"] / report["opening_seconds"], **busy}
    latency = kind is Kind.LATENCY
    return {
        "value": report["p99_us"]
        if latency
        else report["messages"] / report["seconds"],
        "bytes": report["bytes"] / report["messages"],
        "p50_us": report["p50_us"],
        "p99_us": report["p99_us"],
        "extensions": report["extensions"],
        **busy,
    }
