"""Deltas of accumulating counters, energy of power: what sources make of raw readings. Imports no numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from meter.core.quantity import Missing

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

K = TypeVar("K", bound="Hashable")

_WENT_BACK = Missing("the counter went back")
_NOT_FINITE = Missing("the counter was not a finite number")

_S: Final = 1_000_000_000
_WRAP: Final = 1 << 32
_HALF: Final = 1 << 31


def unwrap(deltas: list[int], before: Sequence[int], width: int) -> set[int]:
    """Correct the deltas of counters that wrapped behind 2^32 - 1; the places of things whose counters began anew.

    Counters are 32 bits wide on kernels of 32 bits, in some drivers, and some on every kernel. One that began anew may
    look as if it had wrapped, but then others of the same thing fell from where nothing wraps.

    Args: `deltas` and `before` have for each counter one number of each of `width` things; `deltas` is corrected.
    """
    fallen = [at for at, delta in enumerate(deltas) if delta < 0]
    again = {at % width for at in fallen if before[at] >= _WRAP or deltas[at] + _WRAP >= _HALF}
    for at in fallen:
        deltas[at] += _WRAP
    return again


def counted(before: int | Missing, now: int | Missing, fell: Missing) -> int | Missing:
    """What a lone counter has counted, also behind 2^32 - 1; `fell` where it began anew, what was missing stays so."""
    if isinstance(now, Missing):
        return now
    if isinstance(before, Missing):
        return before
    if now >= before:
        return now - before
    if before < _WRAP and now - before + _WRAP < _HALF:
        return now - before + _WRAP
    return fell


class _Base(NamedTuple):
    """The reading from which the next delta is counted; no value where there was none yet."""

    value: float | None
    ts: int


class Deltas(Generic[K]):
    """The differences of named counters between two polls; the set of names may change from poll to poll.

    Integers stay integers. Over any polling in which nothing is missing, the deltas of a counter add up to its last
    reading less its first; a poll that could not be read loses nothing, the next delta spans both intervals.

    Args: wrap, the greatest value of the counters where they start again at 0 after it. Two wraps between two
        readings cannot be seen. None: a counter that falls has been reset, what it had counted is unknown.
    Source: tests/data/counters.json.
    """

    __slots__ = ("_bases", "_previous", "_wrap")

    def __init__(self, wrap: int | None = None) -> None:
        self._wrap = wrap
        self._bases: dict[K, _Base] = {}
        self._previous: int | None = None

    def step(
        self,
        ts: int,
        readings: Mapping[K, float | Missing],
        born: Mapping[K, int] | None = None,
    ) -> dict[K, tuple[float | Missing, int]]:
        """What each counter has counted, and since when; all times in monotonic nanoseconds.

        The first reading of a counter is its base and gives nothing, unless `born` says that it began at 0 after the
        previous step: then that time is its `since`. A counter that could not be read gives its Missing with the
        previous step as `since`, and keeps its base. One that falls gives Missing and has a new base. A reading that
        is not finite, or above `wrap`, gives Missing and counts as unreadable. A name that is not in `readings` is
        forgotten.
        Call it only where the poll is sure to succeed: a step cannot be taken back.
        """
        previous = ts if self._previous is None else self._previous
        bases: dict[K, _Base] = {}
        deltas: dict[K, tuple[float | Missing, int]] = {}
        for name, reading in readings.items():
            base = self._bases.get(name)
            birth = None if born is None or self._previous is None else born.get(name)
            if birth is not None and birth > previous:
                base = _Base(0, min(birth, ts))
            value = self._readable(reading)
            if isinstance(value, Missing):
                bases[name] = base or _Base(None, ts)
                if base is not None:
                    deltas[name] = (value, max(previous, base.ts))
                continue
            bases[name] = _Base(value, ts)
            if base is not None and base.value is not None:
                deltas[name] = (self._difference(base.value, value), base.ts)
        self._bases = bases
        self._previous = ts
        return deltas

    def _readable(self, reading: float | Missing) -> float | Missing:
        if isinstance(reading, Missing):
            return reading
        if not math.isfinite(reading):
            return _NOT_FINITE
        if self._wrap is not None and not 0 <= reading <= self._wrap:
            return Missing(f"the counter was {reading}, which is outside of 0 to {self._wrap}")
        return reading

    def _difference(self, before: float, now: float) -> float | Missing:
        if now >= before:
            return now - before
        if self._wrap is None:
            return _WENT_BACK
        return self._wrap - before + now + 1


class Integral:
    """Energy from power, which is taken to change evenly between two readings."""

    __slots__ = ("_base",)

    def __init__(self) -> None:
        self._base: tuple[int, float] | None = None

    def step(self, ts: int, power: float | Missing, previous: int) -> tuple[float | Missing, int] | None:
        """J since the last good reading of W, and its time in monotonic ns; None at the first one, the base.

        Where the power is missing, so is the energy since `previous`; the next one spans the gap.
        """
        base = self._base
        if isinstance(power, Missing):
            return None if base is None else (power, max(previous, base[0]))
        self._base = ts, power
        if base is None:
            return None
        return (base[1] + power) / 2 * (ts - base[0]) / _S, base[0]
