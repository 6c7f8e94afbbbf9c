"""
Commands to Redis: those of one turn of the loop go out together.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, RedisError

from ..exceptions import BrokerUnavailable
from .redis_scripts import Call, execution, full

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .redis_addresses import Clients

__all__ = ["BATCH", "TROUBLE", "Commands"]

logger = logging.getLogger("socketeer.pubsub")

# What happens when Redis is away.
TROUBLE = (RedisError, OSError, TimeoutError)

# Commands that may wait to be sent, and that are sent at once.
MAX_WAITING = 10_000
BATCH = 500


class Command:
    """
    Something for Redis to do, and somebody who waits for the answer.
    """

    __slots__ = ("answer", "what")

    def __init__(self, what: Call | tuple[Any, ...]) -> None:
        self.what = what
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Commands:
    """
    Sends commands over one connection, in batches, in order.

    Nothing is sent twice: when an answer is lost, the command may have been executed.

    Args:
        clients: The clients.
        timeout: Seconds after which Redis is taken to be away.
    """

    def __init__(self, clients: Clients, timeout: float) -> None:
        self._clients = clients
        self._timeout = timeout
        self._commands: deque[Command] = deque()
        self._has_commands = asyncio.Event()
        self._is_over = False
        self._task = asyncio.get_running_loop().create_task(self._send_commands())

    async def end(self) -> None:
        """
        Send nothing any more.
        """
        # redis-py writes with asyncio.wait_for(), which loses a cancellation when what
        # it waits for is done at the same time, before Python 3.12.
        self._is_over = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._give_up(self._commands, "the hub was stopped")
        self._commands.clear()

    async def call(self, what: Call | tuple[Any, ...]) -> Any:
        """
        Have Redis do something; return the answer.

        Raises:
            BrokerUnavailable: Redis does not answer, or refuses.
        """
        if len(self._commands) >= MAX_WAITING:
            raise BrokerUnavailable(f"{MAX_WAITING} commands wait for Redis already")
        command = Command(what)
        self._commands.append(command)
        self._has_commands.set()
        return await command.answer

    async def _send_commands(self) -> None:
        """
        Send commands as they come, in batches.
        """
        while not self._is_over:
            await self._has_commands.wait()
            self._has_commands.clear()
            while self._commands and not self._is_over:
                size = min(BATCH, len(self._commands))
                batch = [self._commands.popleft() for _ in range(size)]
                try:
                    async with asyncio.timeout(self._timeout):
                        await self._send_batch(batch)
                except TROUBLE as exc:
                    reason = str(exc) or f"no answer within {self._timeout} s"
                    self._give_up(batch, reason, exc)
                except Exception as exc:
                    # Whoever waits must not wait for ever, whatever it is.
                    logger.exception("commands to Redis failed")
                    self._give_up(batch, str(exc), exc)
                finally:
                    self._give_up(batch, "the hub was stopped")

    async def _send_batch(self, batch: list[Command]) -> None:
        """
        Send commands and hand out the answers.
        """
        answers = await self._execute([execution(each.what) for each in batch])
        again = []
        for command, answer in zip(batch, answers, strict=True):
            if isinstance(answer, NoScriptError):
                again.append(command)
            else:
                give(command, answer)
        if again:
            # The server is new, or its cache was flushed.
            answers = await self._execute([full(each.what) for each in again])
            for command, answer in zip(again, answers, strict=True):
                give(command, answer)

    async def _execute(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """
        Execute commands; return answers or exceptions.
        """
        client = self._clients.commands
        if self._clients.is_cluster:
            calls = (client.execute_command(*command) for command in commands)
            return await asyncio.gather(*calls, return_exceptions=True)
        async with client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
            return answers

    def _give_up(
        self,
        commands: Iterable[Command],
        reason: str,
        cause: BaseException | None = None,
    ) -> None:
        """
        Tell those who wait that there is no answer.
        """
        for command in commands:
            if not command.answer.done():
                failure = BrokerUnavailable(f"Redis is away: {reason}")
                failure.__cause__ = cause
                command.answer.set_exception(failure)


def give(command: Command, answer: Any) -> None:
    """
    Give an answer to whoever waits for it.
    """
    if command.answer.done():
        return
    if isinstance(answer, BaseException):
        failure = BrokerUnavailable(f"Redis refused: {answer}")
        failure.__cause__ = answer
        command.answer.set_exception(failure)
    else:
        command.answer.set_result(answer)
