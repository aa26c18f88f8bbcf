"""One policy of the kernel: the CPUs that share a frequency, and what is known of it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.plugin import Missing
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.core.sysfs import Attributes

Value = float | Missing

FOLDER: Final = "/sys/devices/system/cpu/cpufreq"
FREQUENCY: Final = "system.cpu.frequency"
LIMIT: Final = "system.cpu.frequency.limit"
POLICY: Final = "system.cpu.frequency.policy"
TIME: Final = "system.cpu.frequency.time"
_K: Final = 1000
_LIMITS: Final = {
    "cpuinfo_min_freq": "hardware_min",
    "cpuinfo_max_freq": "hardware_max",
    "scaling_min_freq": "policy_min",
    "scaling_max_freq": "policy_max",
}


class _Way(NamedTuple):
    """A file with the frequency now: the quality of what it says, and why it is no better."""

    name: str
    quality: str = "measured"
    reason: str = ""


_WAYS: Final = (
    _Way("cpuinfo_cur_freq"),
    _Way("cpuinfo_avg_freq"),
    _Way(
        "scaling_cur_freq",
        "estimated",
        "it is what the driver has asked for last, or the kernel's guess (scaling_cur_freq): that of the hardware"
        " (cpuinfo_cur_freq) is not there, or only root may read it",
    ),
)
"""The best first: that of the hardware, its mean of some milliseconds, that which was asked for."""


class State(NamedTuple):
    """A frequency of a CPU, in Hz."""

    cpu: str
    hz: str

    def spec(self) -> ColumnSpec:
        """The series of the time at it."""
        return ColumnSpec(TIME, self.cpu, attributes={"cpu.frequency": self.hz})


class Policy:
    """A policy, by the name of its folder, such as `policy0`."""

    def __init__(self, files: Attributes, name: str) -> None:
        self.name = name
        self._files = files
        self._folder = f"{FOLDER}/{name}"
        self._there = frozenset(files.names(self._folder))
        self._cpus: tuple[str, ...] = ()
        self._way: _Way | None = None
        self._states: tuple[str, ...] = ()

    def read(self) -> list[tuple[ColumnSpec, Value]]:
        """What it says of each of its CPUs that is online; all is missing while these cannot be known."""
        return list(self._said())

    def _said(self) -> Iterator[tuple[ColumnSpec, Value]]:
        lacking = self._find()
        if not self._cpus:
            return
        way = self._way or (self._choose() if lacking is None else _WAYS[-1])
        hertz = lacking or self._hertz(way.name)
        limits = [(limit, lacking or self._hertz(name)) for name, limit in _LIMITS.items() if name in self._there]
        about = {
            "cpu.frequency.driver": self._word("scaling_driver"),
            "cpu.frequency.governor": self._word("scaling_governor"),
            "cpu.frequency.policy": self.name,
        }
        for cpu in self._cpus:
            yield ColumnSpec(FREQUENCY, cpu, quality=way.quality, reason=way.reason), hertz
            for limit, value in limits:
                yield ColumnSpec(LIMIT, cpu, attributes={"cpu.frequency.limit": limit}), value
            yield ColumnSpec(POLICY, cpu, attributes=about), 1

    def _find(self) -> Missing | None:
        """Find the CPUs that are online; why they are not known, where they are those of the poll before."""
        path = f"{self._folder}/affected_cpus"
        try:
            words = self._files.raw(path).split()
        except OSError as error:
            if error.errno != errno.EBUSY:  # which is the answer where all of them are offline
                return Missing(f"{path}: {error.strerror}")
            words = []
        cpus = tuple(word.decode("ascii", "replace") for word in words)
        if not all(cpu.isdecimal() for cpu in cpus):
            return Missing(f"{path} holds {b' '.join(words)[:64]!r}, which are no CPUs")
        self._cpus = cpus
        return None

    def _choose(self) -> _Way:
        """The best file with the frequency now that can be read; kept from the first one on that says a number."""
        for way in _WAYS:
            if way.name in self._there and not isinstance(self._hertz(way.name), Missing):
                self._way = way
                return way
        return _WAYS[-1]

    def _hertz(self, name: str) -> Value:
        """The kernel says kHz."""
        number = self._files.number(f"{self._folder}/{name}")
        if isinstance(number, Missing) or number > 0:
            return number if isinstance(number, Missing) else float(number * _K)
        return Missing(f"{self._folder}/{name} holds {number}, which is no frequency")

    def _word(self, name: str) -> str:
        text = self._files.text(f"{self._folder}/{name}")
        return "unknown" if isinstance(text, Missing) or not text else text

    def times(self) -> dict[State, int | Missing]:
        """Ticks of 10 ms at each frequency so far, by CPU; nothing where the driver does not count them."""
        if "stats" not in self._there:
            return {}
        ticks = _ticks(self._files, f"{self._folder}/stats/time_in_state")
        found = dict.fromkeys(self._states, ticks) if isinstance(ticks, Missing) else ticks
        self._states = tuple(found)
        return {State(cpu, hz): count for cpu in self._cpus for hz, count in found.items()}


def _ticks(files: Attributes, path: str) -> dict[str, int] | Missing:
    """Ticks by Hz; the file has a line for each kHz."""
    data = files.data(path)
    if isinstance(data, Missing):
        return data
    found = {}
    for line in data.splitlines():
        khz, _, count = line.strip().partition(b" ")
        if not (khz.isdigit() and count.isdigit()):
            return Missing(f"{path} holds {line[:64]!r}, which is no frequency with its time")
        found[str(int(khz) * _K)] = int(count)
    return found
