"""
Every page of the documentation runs, as :mod:`tests.pages` describes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# A page is a program, and starts others.
pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.relative_to(ROOT).as_posix()) for p in PAGES]
)
def test_every_code_block_of_a_page_runs(page):
    """
    The blocks of a page do what the page says, from top to bottom.
    """
    command = [sys.executable, "-W", "error", "-m", "tests.pages", page]

    # To a file: programs that a page in trouble leaves behind keep a pipe open.
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            status = done.wait(100)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(done.pid, signal.SIGKILL)
            done.wait()
        errors.seek(0)

        assert (0, "") == (status, errors.read())
