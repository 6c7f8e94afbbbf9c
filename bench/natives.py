"""
Compiles the programs in C: the load generator and the echo server.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

__all__ = ["CompilerError", "Program", "build", "has_tls"]

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).resolve().parent / "native"
TARGETS = ROOT / "build" / "bench"

FLAGS = ("-O2", "-Wall", "-Wextra")
TLS_FLAGS = ("-DWITH_TLS",)
TLS_LIBRARIES = ("-lssl", "-lcrypto")

# Seconds a compiler may take.
PATIENCE = 60


class CompilerError(RuntimeError):
    """
    A program could not be compiled.
    """


class Program(NamedTuple):
    """
    A compiled program.

    Attributes:
        path: The executable.
        has_tls: Whether it speaks TLS.
    """

    path: Path
    has_tls: bool


def compile_program(name: str, tls: bool, target: Path) -> bool:
    """
    Compile a program; return whether that worked without TLS being the reason.
    """
    compiler = shlex.split(os.environ.get("CC", "cc"))
    new = target.with_suffix(f".{os.getpid()}")
    command = [*compiler, *FLAGS, *(TLS_FLAGS if tls else ()), "-o", str(new)]
    command += [str(SOURCES / f"{name}.c"), *(TLS_LIBRARIES if tls else ())]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except OSError as error:
        raise CompilerError(f"no C compiler: {error}") from error
    if done.returncode:
        if tls:
            return False
        raise CompilerError(f"{shlex.join(command)} failed:\n{done.stderr}")
    new.replace(target)
    return True


def build(name: str, tls: bool = False, folder: Path = TARGETS) -> Program:
    """
    Return a program, compiled when its source has changed.

    Args:
        name: ``"loadgen"`` or ``"echoserver"``.
        tls: Whether it is to speak TLS, if OpenSSL's headers are here.
        folder: Where compiled programs are kept.

    Raises:
        CompilerError: There is no compiler, or it refuses the source.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = b"".join(p.read_bytes() for p in sorted(SOURCES.glob("*.[ch]")))
    digest = hashlib.sha256(text).hexdigest()[:12]
    for with_tls in [True, False] if tls else [False]:
        target = folder / f"{name}-{digest}{'-tls' if with_tls else ''}"
        if target.exists() or compile_program(name, with_tls, target):
            return Program(target, with_tls)
    raise AssertionError("without TLS it is compiled or an error")


def has_tls() -> bool:
    """
    Return whether the load generator can be compiled with TLS.
    """
    return build("loadgen", tls=True).has_tls
