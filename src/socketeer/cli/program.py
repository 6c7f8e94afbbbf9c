"""
The commands, put together.
"""

from __future__ import annotations

import click

from ..version import version
from .bench import bench
from .connect import connect
from .serve import serve

__all__ = ["program"]


class Program(click.Group):
    """
    A group whose command may be left out: ``socketeer URI`` connects.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """
        Put the command in front of arguments that begin with something else.
        """
        if args and args[0] not in {*self.commands, "--help", "--version"}:
            args = ["connect", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=Program,
    commands=[connect, serve, bench],
    subcommand_metavar="[COMMAND] [ARGUMENTS]...",
    context_settings={"max_content_width": 100},
)
@click.version_option(version, message="socketeer %(version)s")
def program() -> None:
    """
    WebSocket client, server and load generator.

    Without a command, the arguments are those of connect: socketeer URI
    """
