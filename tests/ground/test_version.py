from __future__ import annotations

import re

from socketeer import version


def test_the_version_is_three_numbers():
    """
    Tools compare versions; ours has the simple form of PEP 440.
    """
    assert re.fullmatch(r"\d+\.\d+\.\d+", version.version)


def test_a_release_is_a_tag():
    """
    In a release, version, tag and commit are the same word.
    """
    assert version.tag == version.version
    assert version.commit == version.version
