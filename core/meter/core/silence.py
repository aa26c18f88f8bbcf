"""Silence: which metrics a source declares and does not give.

`provides.metrics` is a promise, and success without data breaks it as wrong data does. What cannot be read is given as
missing, so that silence is never an answer.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from meter.core.rows import Columns, Row

INTERVALS: Final = 3
"""So many intervals a metric may take to come: the first poll of a delta gives nothing, and one may fail."""


class Silence:
    """What of a source has not come yet.

    Args: intervals, each metric that it declares with the time between two of its rows, in nanoseconds.
    """

    __slots__ = ("_heard", "_intervals", "_waiting")

    def __init__(self, intervals: Mapping[str, int]) -> None:
        self._intervals = intervals
        self._waiting: dict[str, tuple[int, int]] = dict.fromkeys(intervals, (0, 0))
        """Since when each metric is waited for, and for how many polls."""
        self._heard: set[Columns] = set()

    @property
    def over(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return not self._waiting

    def poll(self, ts: int, rows: Iterable[Row], idle: Container[str] = ()) -> list[str]:
        """Listen to a poll that was good; the metrics that are overdue since now, sorted.

        Args: idle, the metrics of which the source has said that there is nothing to measure; their time begins anew.
        """
        for row in rows:
            if row.columns not in self._heard:
                self._heard.add(row.columns)
                for key in row.columns.keys:
                    self._waiting.pop(key.metric.name, None)
        overdue = []
        for name, (since, polls) in self._waiting.items():
            if name in idle:
                self._waiting[name] = (0, 0)
                continue
            begin = since if polls else ts
            self._waiting[name] = (begin, polls + 1)
            if polls >= INTERVALS and ts - begin >= INTERVALS * self._intervals[name]:
                overdue.append(name)
        for name in overdue:
            del self._waiting[name]
        return sorted(overdue)
