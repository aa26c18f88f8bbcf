"""The energy of one GPU: from a counter, else from its power, found at the first reading that succeeds."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from meter.core.counters import Deltas, Integral
from meter.core.plugin import Missing
from meter.plugins.amdgpu import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from meter.core.sysfs import Attributes

    Reader = Callable[[], int | Missing]
    Delta = tuple[float | Missing, int] | None
    """J, and since when in monotonic ns; None at a first reading, which is the base."""

_S: Final = 1_000_000_000
_MICRO: Final = 1_000_000
_STILL_NS: Final = 100_000_000
"""A counter that has not moved for so long stands still: the firmware renews it every few milliseconds."""
_TIMES: Final = 2
"""So many times the highest limit of its power are more than a GPU can take."""
_PASSING: Final = frozenset({errno.EAGAIN, errno.EBUSY, errno.EINTR})
_POWERS: Final = {"power1_average": "the mean power", "power1_input": "the power now"}
_STANDS_STILL: Final = Missing("the counter of energy stands still")
"""Without how long: a cause that lasts has one reason, or each poll would tell another one."""
_SLEPT: Final = Missing("the GPU has slept since the reading before, and nobody says what it took")


class Energy:
    """Joules since the last good reading.

    Args: `folder` is that of the device, `chip` is its PCI id.
    """

    def __init__(self, files: Attributes, folder: str, chip: str) -> None:
        self.sensors: Mapping[str, str] = {}
        """The paths of the files of its hardware monitor, by their names."""
        self._files = files
        self._folder = folder
        self._chip = chip
        self._way: _Counter | _Power | None = None
        self._began = False

    @property
    def reason(self) -> str:
        """Why it comes from power; empty where it does not, or nothing could be read yet."""
        return self._way.reason if isinstance(self._way, _Power) else ""

    def step(self, ts: int, previous: int, asleep: Missing | None) -> Delta:
        """What has come.

        Args: `previous` is the time of the poll before; `asleep` is why nothing may be read now.
        """
        first, self._began = not self._began, True
        if self._way is None:
            found = asleep or self._find(ts)
            if isinstance(found, Missing):
                return None if first else (found, previous)
            self._way = found
        return self._way.step(ts, previous, asleep)

    def _find(self, ts: int) -> _Counter | _Power | Missing:
        """Where energy comes from, or why it is nowhere, or not for now."""
        lacking = []
        for name, read, unit in self._counters():
            try:
                count = read()
            except OSError as error:
                count = Missing(f"{name}: {error.strerror}")
                if error.errno in _PASSING:
                    return count
            if not isinstance(count, Missing):
                return _Counter(read, unit, self._most(), ts)
            lacking.append(count.reason)
        if not lacking:
            lacking = ["it has no counter of energy"]
        for name, words in _POWERS.items():
            if name in self.sensors:
                power = self._files.number(self.sensors[name])
                if not isinstance(power, Missing):
                    reason = f"{'; '.join(lacking)}; {words} ({name}) was integrated"
                    return _Power(self._files, self.sensors[name], reason)
                lacking.append(power.reason)
        if not any(name in self.sensors for name in _POWERS):
            lacking.append("it has no sensor of power")
        return Missing("; ".join(lacking))

    def _counters(self) -> Iterator[tuple[str, Reader, float]]:
        """The counters that may be there: the name of the file, what reads it, and J of a step."""
        path = self.sensors.get("energy1_input")
        if path is not None:
            yield "energy1_input", lambda: self._microjoules(path), 1 / _MICRO
        if "gpu_metrics" in self._files.names(self._folder):
            yield "gpu_metrics", self._steps, metrics.JOULES

    def _microjoules(self, path: str) -> int | Missing:
        text = self._files.raw(path)
        try:
            return int(text)
        except ValueError:
            return Missing(f"{path} holds {text!r}, which is no number")

    def _steps(self) -> int | Missing:
        return metrics.counter(metrics.table(self._files.raw(f"{self._folder}/gpu_metrics")), self._chip)

    def _most(self) -> float | None:
        """W that the GPU never takes; None where no limit is known."""
        limit = self._files.number(self.sensors.get("power1_cap_max", ""))
        return None if isinstance(limit, Missing) or limit <= 0 else _TIMES * limit / _MICRO


class _Counter:
    """Energy from a counter, which is looked at closely: those of some GPUs stand still, run backwards or jump.

    Args: `unit` is J of a step, `most` W that the GPU never takes.
    Source: what users have reported of the counter: ROCm/amdsmi 38 and 115, AMDResearch/hpcfund 21.
    """

    def __init__(self, read: Reader, unit: float, most: float | None, ts: int) -> None:
        self._read = read
        self._unit = unit
        self._most = most
        self._moved = ts
        self._deltas: Deltas[str] = Deltas()

    def step(self, ts: int, previous: int, asleep: Missing | None) -> Delta:
        """What it has counted; after a reading that failed since the last good one."""
        del previous
        try:
            count = asleep or self._read()
        except OSError as error:
            count = Missing(f"the counter of energy: {error.strerror}")
        found = self._deltas.step(ts, {"": count}).get("")
        if found is None or isinstance(found[0], Missing):
            return found
        joules, since = found[0] * self._unit, found[1]
        if joules:
            self._moved = ts
        elif ts - self._moved >= _STILL_NS:
            return _STANDS_STILL, since
        span = ts - since
        if self._most is not None and span >= _STILL_NS and joules > self._most * span / _S:
            told = f"the counter of energy says more than {self._most:.0f} W"
            return Missing(f"{told}, which is {_TIMES} times the highest limit of power"), since
        return joules, since


class _Power:
    """Energy from a sensor of power, by trapezoids. Args: `reason` says why."""

    def __init__(self, files: Attributes, path: str, reason: str) -> None:
        self.reason = reason
        self._files = files
        self._path = path
        self._integral = Integral()
        self._slept = False

    def step(self, ts: int, previous: int, asleep: Missing | None) -> Delta:
        """What it comes to; missing from the last reading before the GPU slept to the first one after it."""
        micro = asleep or self._files.number(self._path)
        power = micro if isinstance(micro, Missing) else micro / _MICRO
        found = self._integral.step(ts, power, previous)
        if asleep is not None:
            self._slept = True
        elif self._slept and not isinstance(power, Missing):
            self._slept = False
            return found and (_SLEPT, previous)
        return found
