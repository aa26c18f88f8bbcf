"""What a running engine says of itself: numbers for each of its elements, as they are at one moment.

Taken without a lock, so that to look at a run does not slow it down: each number is right, two of them may be of
instants some microseconds apart. All counts begin at 0 when the engine is made and never fall. Imports no numpy.
"""

from __future__ import annotations

from bisect import bisect_left
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meter.core.quantity import Missing

LATENESS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "50us": 50_000,
        "100us": 100_000,
        "200us": 200_000,
        "500us": 500_000,
        "1ms": 1_000_000,
        "2ms": 2_000_000,
        "5ms": 5_000_000,
        "10ms": 10_000_000,
        "20ms": 20_000_000,
        "50ms": 50_000_000,
        "100ms": 100_000_000,
        "1s": 1_000_000_000,
    }
)
"""The limits by which lateness is counted, as text and in nanoseconds, rising."""
LATER: Final = "more"
"""Stands for all that exceeds the last limit."""

_LIMITS: Final = tuple(LATENESS.values())


def no_lateness() -> list[int]:
    """Nothing counted yet."""
    return [0] * (len(_LIMITS) + 1)


def place_of(late_ns: int) -> int:
    """Where a poll that was so late is counted: at the first limit that it does not exceed."""
    return bisect_left(_LIMITS, late_ns)


class SourceState(NamedTuple):
    """A source: `lateness` has, for each of `LATENESS` and for what is later, the polls in it and in none before.

    `polls` are all of them, also those without a deadline, such as the first; `missed` ticks were made up for by a
    later poll; `retries` are polls that gave nothing; `points` are values that came, missing ones included.
    """

    label: str
    polls: int
    missed: int
    retries: int
    points: int
    lateness: tuple[int, ...]


class FilterState(NamedTuple):
    """A filter: the batches and the points that came to it, and the time in it, in nanoseconds.

    The time is that of its thread's clock on the wall: whoever else the machine served meanwhile is in it.
    """

    label: str
    batches: int
    points: int
    spent_ns: int


class OutputState(NamedTuple):
    """An output: what waits for it, the batch that it writes included, what it has delivered, and what it never got.

    `writes` are attempts, of which `failures` raised an error; `points` are delivered ones. `lost` rows went unasked,
    `dropped` ones as the option `overflow` says.
    """

    label: str
    waiting_batches: int
    waiting_points: int
    waiting_bytes: int
    writes: int
    failures: int
    points: int
    lost: int
    dropped: int


class ProcessState(NamedTuple):
    """A process that a part of the engine runs in: CPU time so far in microseconds, memory in RAM in bytes."""

    pid: int
    user_us: int
    system_us: int
    resident: int | Missing


class State(NamedTuple):
    """An engine: its elements in their order; `waiting` hand-overs of polled rows wait for the chain.

    `faults` and `violations` are by instance: what was reported of it, and how often it broke its contract. Who has
    none is there with 0; faults of the chain itself have a name, too. `processes` are those beside this one; what is
    said of them, and of elements that run in them, is up to a second old.
    """

    sources: tuple[SourceState, ...]
    filters: tuple[FilterState, ...]
    outputs: tuple[OutputState, ...]
    waiting: int
    faults: Mapping[str, int]
    violations: Mapping[str, int]
    processes: tuple[ProcessState, ...] = ()
