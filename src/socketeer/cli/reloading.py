"""
Code that changes while it runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

__all__ = ["changes", "snapshot"]

# Seconds between looks.
INTERVAL = 0.5

# Most files that are watched; whoever has more watches the wrong folder.
MAX_FILES = 20_000

# Folders with other people's code.
_SKIPPED = {"__pycache__", "node_modules", "site-packages"}

Snapshot = dict[str, tuple[int, int]]


def source_files(folder: str) -> Iterator[os.DirEntry[str]]:
    """
    Return the Python files in a folder and those below it.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        # It is gone by now, or not ours to see.
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from source_files(entry.path)
        elif entry.name.endswith(".py"):
            yield entry


def snapshot(folder: str) -> Snapshot:
    """
    Return when each file was changed last, and its size.
    """
    found: Snapshot = {}
    for entry in source_files(folder):
        try:
            stat = entry.stat()
        except OSError:
            continue
        found[entry.path] = (stat.st_mtime_ns, stat.st_size)
        if len(found) >= MAX_FILES:
            break
    return found


async def changes(folder: str, interval: float | None = None) -> AsyncIterator[str]:
    """
    Watch a folder; return files that appear, change or vanish, one for each look.
    """
    before = await asyncio.to_thread(snapshot, folder)
    while True:
        await asyncio.sleep(INTERVAL if interval is None else interval)
        now = await asyncio.to_thread(snapshot, folder)
        different = sorted(path for path, _ in before.items() ^ now.items())
        if different:
            yield different[0].removeprefix(folder).lstrip(os.sep)
        before = now
