"""
Every page of the documentation runs, as :mod:`tests.pages` describes.
"""

from __future__ import annotations

import subprocess
import sys
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

    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
