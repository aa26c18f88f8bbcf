"""Whose the energy of one GPU is: what each process has of it, by its share of what all of them ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.plugin import Missing

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

PACE_NS: Final = 900_000_000
"""The driver samples at its own pace, once a second at the slowest: for less than that the last samples still hold."""
_NO_BASE: Final = Missing("the driver had given no samples at the poll before")


class Parted(NamedTuple):
    """What has come since a time in monotonic ns: J that processes had together, and each of them by its id."""

    since: int
    busy: float | Missing
    each: Mapping[str, float]


class Parting:
    """Parts the energy between two polls as the samples are that came between them.

    A process gets its share of the percents of all processes, each sample counted once. Where there is none the last
    ones hold for a while, of processes that are still there. What is left is nobody's. Of an interval that could not
    be read the next one has energy and samples, too.
    """

    def __init__(self) -> None:
        self._joules = 0.0
        self._percents: dict[str, float] = {}
        self._since: int | None = None
        self._last: Mapping[str, float] = {}
        self._sampled: int | None = None

    def step(
        self,
        ts: int,
        previous: int,
        energy: tuple[float | Missing, int] | None,
        samples: Mapping[str, int] | Missing | None,
        there: Container[str],
    ) -> Parted | None:
        """What has come at `ts`; None at a first reading, which is the base of both.

        Args: `previous` is the time of the poll before, `energy` J with its begin, `samples` the percents of each
            process, added up over its samples; both are None at their base. `there` are the processes that the driver
            lists now.
        """
        if self._since is None or energy is None:
            self._begin(ts)
            return None
        if isinstance(samples, Missing):
            if not isinstance(energy[0], Missing):
                self._joules += energy[0]
            return Parted(previous, samples, {})
        if samples is None:
            self._begin(ts)
            return Parted(previous, _NO_BASE, {})
        for pid, percent in samples.items():
            self._percents[pid] = self._percents.get(pid, 0) + percent
        if isinstance(energy[0], Missing):
            return Parted(previous, energy[0], {})
        return self._part(ts, self._joules + energy[0], there)

    def _begin(self, ts: int) -> None:
        self._joules, self._percents, self._since = 0.0, {}, ts

    def _part(self, ts: int, joules: float, there: Container[str]) -> Parted:
        assert self._since is not None
        since, shares = self._since, self._shares(ts, there)
        self._begin(ts)
        whole = sum(shares.values())
        if not whole:
            return Parted(since, 0.0, {})
        return Parted(since, joules, {pid: joules * share / whole for pid, share in shares.items()})

    def _shares(self, ts: int, there: Container[str]) -> dict[str, float]:
        found = {pid: percent for pid, percent in self._percents.items() if percent}
        if found:
            self._last, self._sampled = found, ts
            return found
        if self._percents or self._sampled is None or ts - self._sampled >= PACE_NS:  # samples of nothing are samples
            return {}
        return {pid: percent for pid, percent in self._last.items() if pid in there}
