"""
Options about connecting, shared by the client and the load generator.
"""

from __future__ import annotations

import dataclasses
import functools
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..asyncio.client import connect
from ..datastructures import Headers
from ..exceptions import InvalidHeader
from ..headers import build_authorization_basic, validate_subprotocols
from ..typing import Origin, Subprotocol

__all__ = ["Target", "target_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Target:
    """
    What to connect to, and how.

    Attributes:
        uri: The server.
        headers: Headers of the request.
        origin: The ``Origin`` header.
        subprotocols: Subprotocols, in order of preference.
        auth: ``USER:PASSWORD`` or a bearer token.
        proxy: URL of a proxy; ``""`` for none; :obj:`None` for the environment's.
        insecure: Whether certificates are not looked at.
        compression: Whether to offer compression.
        open_timeout: Seconds to connect.
    """

    uri: str
    headers: tuple[tuple[str, str], ...] = ()
    origin: str | None = None
    subprotocols: tuple[str, ...] = ()
    auth: str | None = None
    proxy: str | None = None
    insecure: bool = False
    compression: bool = True
    open_timeout: float = 10

    def connect(self, **options: Any) -> connect:
        """
        Return what connects when it is entered.

        Args:
            **options: Further arguments of :func:`~socketeer.asyncio.client.connect`.

        Raises:
            ValueError: Options contradict each other.
        """
        headers = Headers(list(self.headers))
        if self.auth is not None:
            headers["Authorization"] = authorization(self.auth)
        if self.insecure and self.uri.lower().startswith("wss:"):
            options["ssl"] = insecure_context()
        if self.proxy is not None:
            options["proxy"] = self.proxy or None
        return connect(
            self.uri,
            origin=None if self.origin is None else Origin(self.origin),
            subprotocols=[Subprotocol(name) for name in self.subprotocols] or None,
            compression="deflate" if self.compression else None,
            additional_headers=headers,
            open_timeout=self.open_timeout,
            **options,
        )


def authorization(auth: str) -> str:
    """
    Return the ``Authorization`` header: Basic with a colon, Bearer without.
    """
    username, colon, password = auth.partition(":")
    if not colon:
        return f"Bearer {auth}"
    return build_authorization_basic(username, password)


@functools.cache
def insecure_context() -> ssl.SSLContext:
    """
    Return a TLS context that believes everybody.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _parse_headers(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """
    Take headers apart.
    """
    headers = Headers()
    for value in values:
        name, colon, content = value.partition(":")
        if not colon or not name.strip():
            raise click.BadParameter(f"{value!r} is not of the form 'NAME: VALUE'")
        try:
            headers[name.strip()] = content.strip()
        except InvalidHeader as exc:
            raise click.BadParameter(str(exc)) from exc
    return tuple(headers.raw_items())


def _check_subprotocols(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """
    Refuse what cannot be the name of a subprotocol.
    """
    try:
        validate_subprotocols([Subprotocol(value) for value in values])
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc
    return values


_OPTIONS = [
    click.argument("uri"),
    click.option(
        "--header",
        "-H",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        callback=_parse_headers,
        help="Send this header; may be repeated.",
    ),
    click.option("--origin", help="Send this Origin header."),
    click.option(
        "--subprotocol",
        "subprotocols",
        multiple=True,
        metavar="NAME",
        callback=_check_subprotocols,
        help="Offer this subprotocol; may be repeated, best first.",
    ),
    click.option(
        "--auth",
        "-a",
        metavar="USER:PASSWORD|TOKEN",
        envvar="SOCKETEER_AUTH",
        show_envvar=True,
        help="Authenticate: Basic with a colon, Bearer without.",
    ),
    click.option(
        "--proxy",
        "-x",
        metavar="URL",
        help="Connect through this proxy instead of the environment's; '' for none.",
    ),
    click.option("--insecure", "-k", is_flag=True, help="Accept any TLS certificate."),
    click.option(
        "--compression/--no-compression",
        default=True,
        help="Whether to offer compression (default: yes).",
    ),
    click.option(
        "--open-timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=10,
        show_default=True,
        metavar="SECONDS",
        help="Give up connecting after this time.",
    ),
]


def target_options(command: F) -> F:
    """
    Give a command the options about connecting; it gets a ``target``.
    """

    @functools.wraps(command)
    def wrapped(**options: Any) -> Any:
        names = [field.name for field in dataclasses.fields(Target)]
        target = Target(**{name: options.pop(name) for name in names})
        return command(target=target, **options)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]
