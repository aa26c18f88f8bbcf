"""How late polls were: the times of polls against the grid of their deadlines.

One computation for meter and for the controls. A late poll stands for all deadlines that have passed since the one
before, so its lateness counts from the first of them, and the others are missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Lateness(NamedTuple):
    """Deadlines in a span, polls that met or stood for them, and how late these were in microseconds."""

    nominal: int
    polled: int
    p50_us: float
    p99_us: float
    max_us: float

    @property
    def missed(self) -> int:
        """Deadlines that had no poll of their own."""
        return self.nominal - self.polled

    @property
    def percent(self) -> float:
        """Ticks polled, of those that there were."""
        return 100 * self.polled / self.nominal


def tick_of(at_ns: int, first_ns: int, interval_ns: int) -> int:
    """The number of the last deadline before a poll; that of `first_ns` is 0."""
    return (at_ns - first_ns) // interval_ns


def lateness(times: Iterable[Sequence[int]], first_ns: int, interval_ns: int, begin_ns: int, end_ns: int) -> Lateness:
    """What the polls of all sources were between two times.

    Args: `times` of the polls of each source; `first_ns` is some deadline, all others are whole intervals from it.
    Raises: ValueError, no deadline lies in the span, or there was no poll for any.
    """
    begin, end = -((first_ns - begin_ns) // interval_ns), (end_ns - first_ns) // interval_ns
    found: list[int] = []
    sources = 0
    for series in times:
        sources += 1
        before = begin - 1
        for at in series:
            tick = tick_of(at, first_ns, interval_ns)
            if begin <= tick < end and tick > before:
                found.append(at - first_ns - (before + 1) * interval_ns)
                before = tick
    if not found:
        raise ValueError(f"no poll between {begin_ns} and {end_ns}")
    found.sort()
    nominal, polled = sources * (end - begin), len(found)
    return Lateness(nominal, polled, *(found[int(part * (polled - 1))] / 1e3 for part in (0.5, 0.99, 1)))
