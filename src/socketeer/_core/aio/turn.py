"""
What all connections of an event loop share, and when they write.

A *turn* begins when a task gets to run and ends when control is back in the
loop. What is sent during a turn is written late enough to share system calls
and early enough that nobody waits: the first message at once, the others when
the turn ends. While a task is being woken for messages of which some are still
waiting for it (it is *corked*), it collects everything: the answers to one read
leave in one write.

When several connections have something to read in one iteration of the loop, and
tasks answer quickly, turns are *gathered*: the loop reads from all of them, then
wakes all their tasks, then writes for all. The same code runs many times in a row, and
a peer on this machine is not woken for each single write. An answer waits for those
of others no longer than half a millisecond; that of a lone connection does not wait.

Kept here, once for each loop, are the receive buffer, spare outboxes and the
deadlines of all connections, behind a single timer.
"""

from __future__ import annotations

import heapq
from asyncio import current_task, tasks
from time import monotonic
from types import BuiltinFunctionType

from ..limited import LimitedSession
from ..outbox import Outbox
from .clock import now
from .sockets import READ_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable
    from typing import Any

    from ..endpoint import MaskingKeys

__all__ = ["Deadline", "Member", "Turn", "turn_of"]

_NEVER = float("inf")

# What a task may send and receive before it has to let others run: an
# operation costs one, and one more for each 4 KiB. About 100 microseconds.
_BUDGET = 192

# Spare outboxes kept for later.
_MAX_SPARES = 32

# Deadlines may be served this late, in seconds, so that many share a wake-up.
_TOLERANCE = 0.001

# Deadlines served before others have their turn.
_MOST_DUE = 32

# A loop that is later than this, in seconds, was blocked; then there is so much time
# to read what has arrived.
_LATE = 0.1
_GRACE = 0.05

# Turns are gathered if an iteration of the loop has at least so many, which take less
# than so many seconds each. One iteration is looked at after so many turns.
_CROWD = 4
_QUICK = 0.00005
_SPAN = 64

# Which iteration is looked at: one that is far away, the one after this, the one that
# begins with the next turn, this one.
_LATER = 0
_SOON = 1
_NEXT = 2
_NOW = 3

# Connections that are read from before their tasks are woken, and for how long what
# they answer may wait, in seconds.
_MANY = 64
_PATIENCE = 0.0005

# Tells which task a loop runs. Before Python 3.12, asyncio's own function is an
# interpreted one around this.
_running_task = (
    current_task
    if isinstance(current_task, BuiltinFunctionType)
    else vars(tasks)["_current_tasks"].get
)


class Member(LimitedSession):
    """
    A session that takes part in the turns of a loop and is fed by a wire.

    Attributes:
        dirty: Whether it is on the list of those that write when the turn ends.
        postponed: Whether it is on the list of those whose tasks are woken later.
    """

    __slots__ = ("dirty", "postponed")

    def __init__(
        self,
        is_client: bool,
        max_message_size: int,
        max_fragment_size: int,
        masking_keys: MaskingKeys,
        clock: Callable[[], float],
    ) -> None:
        LimitedSession.__init__(
            self, is_client, max_message_size, max_fragment_size, masking_keys, clock
        )
        self.dirty = False
        self.postponed = False

    def after_input(self) -> None:
        """
        Deal with what has been received.
        """
        raise NotImplementedError

    def flush(self) -> None:
        """
        Write what was collected.
        """
        raise NotImplementedError

    def advance_to(self, now: float) -> None:
        """
        Do what is due.
        """
        raise NotImplementedError

    def received(self, data: bytearray, size: int) -> None:
        """
        Take in ``data[:size]``, as it was read.
        """
        raise NotImplementedError

    def ended(self) -> None:
        """
        Take in the end of the peer's bytes.
        """
        raise NotImplementedError

    def lost_connection(self, exc: Exception | None) -> None:
        """
        Take in that the wire is gone.
        """
        raise NotImplementedError

    def pause_writing(self) -> None:
        """
        Take in that the peer is slower than we are.
        """
        raise NotImplementedError

    def resume_writing(self) -> None:
        """
        Take in that the peer has caught up.
        """
        raise NotImplementedError


class Deadline:
    """
    An entry of the timetable: when a member wants to be called.
    """

    __slots__ = ("at", "member")

    def __init__(self, at: float, member: Member | None) -> None:
        self.at = at
        self.member = member

    def __lt__(self, other: Deadline) -> bool:
        return self.at < other.at


class Turn:
    """
    The shared state of the connections of one event loop.

    Attributes:
        at_end: What is called when the turn ends, or :obj:`None`.
        loop: The event loop.
        buffer: The receive buffer: valid until somebody is woken.
        corked: The member whose task is being woken, or :obj:`None`.
        number: Counts turns.
        budget: What is left for the running task.
        finished: A future that is done: tells a task to go on.
        gathering: Whether tasks are woken when all connections have been read from.
        quick: Turns are gathered if they take less than that each, in seconds.
        patience: For how long what was answered in gathered turns may wait for others,
            in seconds.
        in_callback: Whether the loop has called us, so that no task is running unless
            somebody is corked.
        stops_at_errors: Whether the loop stops watching a socket that has an error,
            even if there is something to read first, as libuv does.
    """

    __slots__ = (
        "_counted_from",
        "_deferred",
        "_dirty",
        "_ends_soon",
        "_postponed",
        "_sample",
        "_spare_count",
        "_spares",
        "_timer",
        "_timer_at",
        "_timetable",
        "_turns",
        "_write_at",
        "at_end",
        "budget",
        "buffer",
        "corked",
        "finished",
        "gathering",
        "in_callback",
        "loop",
        "number",
        "patience",
        "quick",
        "stops_at_errors",
    )

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.buffer = bytearray(READ_SIZE)
        self.corked: Member | None = None
        self.number = 1
        self.budget = _BUDGET
        self.finished = loop.create_future()
        self.finished.set_result(None)
        self.stops_at_errors = type(loop).__module__.startswith("uvloop")
        self.at_end: list[Callable[[], object]] | None = None
        self._dirty: list[Member] = []
        # Slots, of which the first _spare_count are filled.
        self._spares: list[Any] = [None] * _MAX_SPARES
        self._spare_count = 0
        self._ends_soon = False
        self.gathering = False
        self.quick = _QUICK
        self.patience = _PATIENCE
        self.in_callback = False
        self._postponed: list[Member] = []
        # Turns since the loop looked whether to gather them.
        self._turns = 0
        # Whether the turns of an iteration are being counted, and since when.
        self._sample = _LATER
        self._counted_from = 0.0
        # When the first of the gathered turns has waited for long enough.
        self._write_at = _NEVER
        self._timetable: list[Deadline] = []
        self._timer: TimerHandle | None = None
        self._timer_at = _NEVER
        # Whether deadlines were put off, once, because the loop was blocked.
        self._deferred = False

    # Writing.

    def take_outbox(self) -> Outbox:
        """
        Return an empty outbox.
        """
        if self._spare_count:
            self._spare_count -= 1
            return self._spares[self._spare_count]
        return Outbox()

    def give_outbox(self, outbox: Outbox) -> None:
        """
        Take an outbox back.
        """
        outbox.clear()
        if self._spare_count < _MAX_SPARES:
            self._spares[self._spare_count] = outbox
            self._spare_count += 1

    def mark(self, member: Member) -> None:
        """
        Write what a member collects when the turn ends.
        """
        self._dirty.append(member)
        self.touch()

    def touch(self) -> None:
        """
        Make sure that somebody will tell when the turn ends.
        """
        if not self._ends_soon and self.corked is None:
            self._ends_soon = True
            self.loop.call_soon(self._end_soon)

    def call_at_end(self, callback: Callable[[], object]) -> None:
        """
        Call something when the turn ends; or sooner, before something is sent that
        has to come behind what the callback sends.
        """
        if self.at_end is None:
            self.at_end = []
        self.at_end.append(callback)
        self.touch()

    def run_at_end(self) -> None:
        """
        Call what waits for the end of the turn.
        """
        callbacks = self.at_end
        self.at_end = None
        if callbacks is not None:
            for callback in callbacks:
                try:
                    callback()
                except Exception as exc:  # noqa: BLE001 - reported, whatever it is
                    context = {"message": "error at the end of a turn"}
                    self.loop.call_exception_handler({**context, "exception": exc})

    def _end_soon(self) -> None:
        """
        End the turn: control is back in the loop.
        """
        if self._postponed:
            self.in_callback = True
            try:
                self.go_on()
            except BaseException:
                self._ends_soon = False
                self.touch()
                raise
            finally:
                self.in_callback = False
            self.gathering = self.gathering and self._turns >= _CROWD
            self._turns = 0
        self._ends_soon = False
        self.end()

    def end(self) -> None:
        """
        Write everything that was collected during the turn.
        """
        if self.at_end is not None:
            self.run_at_end()
        self.number += 1
        self.budget = _BUDGET
        dirty = self._dirty
        if dirty:
            self._dirty = []
            self._write_at = _NEVER
            done = 0
            try:
                for member in dirty:
                    done += 1
                    member.dirty = False
                    member.flush()
            except BaseException:
                # The others still write, soon.
                self._dirty = dirty[done:] + self._dirty
                self.touch()
                raise

    # Gathering.

    def postpone(self, member: Member) -> None:
        """
        Let a member deal with its input when others have been read from, too.
        """
        member.postponed = True
        self._postponed.append(member)
        if len(self._postponed) < _MANY:
            self.touch()
        else:
            self.go_on()

    def go_on(self) -> None:
        """
        Let members deal with the input that was postponed.
        """
        postponed = self._postponed
        if postponed:
            self._postponed = []
            done = 0
            try:
                for member in postponed:
                    done += 1
                    member.postponed = False
                    member.after_input()
            except BaseException:
                # A task may raise what ends the loop; which may run again.
                self._postponed = postponed[done:] + self._postponed
                self.touch()
                raise

    def _gather(self) -> None:
        """
        Begin the next turn; what was collected is written with what that collects.
        """
        self.number += 1
        self.budget = _BUDGET
        if self._dirty or self.at_end is not None:
            time = now()
            if self._write_at == _NEVER:
                self._write_at = time + self.patience
                self.touch()
            elif time >= self._write_at:
                # Those who take their time to answer do not wait for each other.
                self.gathering = len(self._dirty) >= _CROWD
                self._turns = 0
                self.end()

    def _look_out(self) -> None:
        """
        Count turns from the next one on: an iteration of the loop has ended.
        """
        self._sample = _NEXT

    def _look_back(self) -> None:
        """
        Gather turns if an iteration of the loop had many, and short ones.
        """
        spent = now() - self._counted_from
        self.gathering = self._turns >= _CROWD and spent < self._turns * self.quick
        self._turns = 0
        self._sample = _LATER

    def spend(self, size: int) -> None:
        """
        Take note of a message that the running task has sent or received.
        """
        self.budget -= 1 + (size >> 12)

    def may_wake_now(self) -> bool:
        """
        Tell whether a task can be run from here: none is running.
        """
        return self.corked is None and (
            self.in_callback or _running_task(self.loop) is None
        )

    def cork(self, member: Member) -> None:
        """
        Begin a turn in which a member's task is woken.
        """
        self.corked = member
        self.budget = _BUDGET

    def uncork(self) -> None:
        """
        End the turn in which a member's task was woken.
        """
        self.corked = None
        self._turns += 1
        if self.gathering:
            self._gather()
            return
        self.end()
        if self._sample == _NEXT:
            self._sample = _NOW
            self._turns = 1
            self._counted_from = now()
            self.loop.call_soon(self._look_back)
        elif self._sample == _LATER and self._turns >= _SPAN:
            self._sample = _SOON
            self.loop.call_soon(self._look_out)

    # Time.

    def call_at(self, deadline: Deadline) -> None:
        """
        Call ``deadline.member.advance_to(now)`` when its time has come.
        """
        heapq.heappush(self._timetable, deadline)
        if deadline.at < self._timer_at - _TOLERANCE:
            self._arm(deadline.at)

    def _arm(self, at: float) -> None:
        """
        Set the timer.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        # The clock of the loop may have coarser steps than ours.
        self._timer = self.loop.call_later(max(0.0, at - monotonic()), self._tick)

    def _tick(self) -> None:
        """
        Call the members whose time has come.
        """
        now = monotonic()
        late = now - self._timer_at > _LATE
        self._timer = None
        self._timer_at = _NEVER
        if late and not self._deferred:
            # Something has blocked the loop. What peers have sent in the meantime,
            # such as pongs, is read before anybody is found to be too slow.
            self._deferred = True
            self._arm(now + _GRACE)
            return
        due: list[Deadline] = []
        timetable = self._timetable
        horizon = now + _TOLERANCE
        while timetable and timetable[0].at <= horizon and len(due) < _MOST_DUE:
            due.append(heapq.heappop(timetable))
        # Those that are left are late because of us, not of the loop.
        self._deferred = bool(timetable) and timetable[0].at <= horizon
        for deadline in due:
            member = deadline.member
            if member is not None:
                member.advance_to(max(now, deadline.at))
        # Deadlines of those who left are dropped when their time comes.
        while timetable and timetable[0].member is None:
            heapq.heappop(timetable)
        if timetable and timetable[0].at < self._timer_at:
            self._arm(timetable[0].at)


def turn_of(loop: AbstractEventLoop) -> Turn:
    """
    Return the shared state of a loop's connections.
    """
    turn = getattr(loop, "_socketeer_turn", None)
    if type(turn) is not Turn:
        turn = Turn(loop)
        # A loop that takes no attributes gets no sharing, only correctness.
        try:
            loop._socketeer_turn = turn  # type: ignore[attr-defined]  # a loop's own
        except AttributeError:
            return turn
    return turn
