"""
In which order to try the addresses of a host (RFC 8305, "Happy Eyeballs"), and what
to say if none works.
"""

from __future__ import annotations

import errno
import itertools
import typing
from collections.abc import Sequence

__all__ = ["CONNECTION_ATTEMPT_DELAY", "interleave", "sum_up"]

# Seconds to wait for one address before the next one is tried besides (RFC 8305, 5).
CONNECTION_ATTEMPT_DELAY = 0.25

# What getaddrinfo() returns has the address family first.
_Info = typing.TypeVar("_Info", bound=tuple[typing.Any, ...])


def interleave(infos: Sequence[_Info], first_count: int = 1) -> list[_Info]:
    """
    Mix address families, so that one that does not work costs one attempt.

    Args:
        infos: Addresses in order of preference, as ``getaddrinfo()`` returns them.
        first_count: How many of the preferred family come first ("First Address
            Family Count"); 0 leaves the order as it is.
    """
    if not first_count:
        return list(infos)
    families: dict[typing.Any, list[_Info]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    groups = list(families.values())
    if not groups:
        return []
    ahead, groups[0] = groups[0][: first_count - 1], groups[0][first_count - 1 :]
    mixed = itertools.chain.from_iterable(itertools.zip_longest(*groups))
    return ahead + [info for info in mixed if info is not None]


def sum_up(failures: list[OSError]) -> OSError:
    """
    Make one exception of what happened with all addresses.
    """
    if not failures:
        return OSError(errno.EADDRNOTAVAIL, "no address matches local_addr")
    first = failures[0]
    if len({str(exc) for exc in failures}) == 1:
        return first
    return OSError(
        first.errno, "Multiple exceptions: " + ", ".join(str(exc) for exc in failures)
    )
