"""The counters of one process from poll to poll."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.core.counters import Deltas
from meter.core.plugin import Missing

if TYPE_CHECKING:
    from meter.core.readings import Columns
    from meter.plugins.process.parts import Cells


class Track:
    """Deltas of all counters of a process, which nearly always have one span.

    Nearly always all of them could be read now and before, and none has fallen; or one cannot be read at all, and
    then never could. What is else goes through `Deltas`, until it is so again.
    """

    __slots__ = ("_deltas", "_last", "columns", "labels", "ts")

    def __init__(self, birth: int | None, width: int) -> None:
        """Args: birth, when it began at 0, where that is known; width, how many counters it has."""
        self.ts = birth or 0
        """When the counters were as they are known: where the span of the next whole row begins."""
        self._last: Cells | None = None if birth is None else (0,) * width
        self._deltas: Deltas[int] | None = None
        self.labels: tuple[str, str] | None = None
        """What its own columns say of it, where it has such."""
        self.columns: dict[int | None, Columns] = {}
        """These columns: of the gauges (None), of all (-1), of a counter by its place."""

    def steady(self, ts: int, now: Cells) -> list[float | Missing] | None:
        """The deltas of all counters since `ts` of this; None where they are not so simple."""
        if self._last is None:
            return None
        deltas: list[float | Missing] = []
        for before, value in zip(self._last, now, strict=True):
            if type(before) is int and type(value) is int and value >= before:
                deltas.append(value - before)
            elif isinstance(before, Missing) and isinstance(value, Missing):
                deltas.append(value)
            else:
                return None
        self.ts = ts
        self._last = now
        return deltas

    def step(self, ts: int, now: Cells) -> dict[int, tuple[float | Missing, int]]:
        """The deltas that there are by their places, and since when."""
        deltas = self._deltas
        if deltas is None:
            if self._last is None:  # the first reading is the base
                self._last, self.ts = now, ts
                return {}
            deltas = Deltas()
            deltas.step(self.ts, dict(enumerate(self._last)))
        found = deltas.step(ts, dict(enumerate(now)))
        whole = not any(isinstance(value, Missing) for value in now)
        self._last, self._deltas, self.ts = (now, None, ts) if whole else (None, deltas, ts)
        return found
