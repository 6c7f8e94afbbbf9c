"""The version of Socketeer; the one place where it is written."""

from __future__ import annotations

__all__ = ["commit", "tag", "version"]

# A literal, because the build reads it without importing the package.
version = "0.1.0"

# The tag and the commit this file was released from. A release is a tag,
# so both are the version; a checkout says the version it leads to.
tag = version
commit = version
