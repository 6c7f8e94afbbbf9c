"""
Without trio, the room cannot be entered, and says what to install.
"""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["trio"] = None
import socketeer, socketeer.asyncio.server
try:
    import socketeer.trio.server
except ImportError as exc:
    print(exc)
"""


def test_says_what_to_install():
    """
    The rest of the package does without.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    assert "socketeer.trio requires trio; socketeer[trio] installs it\n" == done.stdout
