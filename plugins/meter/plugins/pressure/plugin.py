"""The source `pressure`."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from meter.core.counters import Deltas
from meter.core.plugin import Missing, Source

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_METRIC = "system.pressure.stall_time"

# `full` of cpu says nothing of a whole machine and is always 0 there; irq has no `some`.
_LINES = {"cpu": ("some",), "memory": ("some", "full"), "io": ("some", "full"), "irq": ("full",)}
_ATTRIBUTES = {
    (resource, line): {"system.pressure.resource": resource, "system.pressure.type": line}
    for resource, lines in _LINES.items()
    for line in lines
}
_MICROSECONDS = 1_000_000


class Pressure(Source):
    """Time in which tasks were stalled, from the kernel's pressure stall information (PSI).

    Emits `system.pressure.stall_time` (s, f64, delta) for each resource: `some`, time in which at least one task waited
    for it, and `full`, time in which all tasks that were not idle waited for it at once; `full` is a part of `some`.
    A resource that the kernel does not say, or whose file cannot be read, is missing with the reason; the next delta
    after an unreadable poll spans both intervals. A total that fell is missing once.

    Rows: six values, from the second poll on. Resolution: 1 microsecond.
    Source: Linux, Documentation/accounting/psi.rst; kernel/sched/psi.c (`psi_show`).
    """

    def start(self, context: SourceContext) -> None:
        """Open the files; one that cannot be opened is missing."""
        self._deltas: Deltas[tuple[str, str]] = Deltas()
        self._files: dict[str, int | Missing] = {}
        for resource in _LINES:
            try:
                self._files[resource] = context.open(_path(resource))
            except OSError as error:
                self._files[resource] = _unreadable(resource, error)

    def poll(self, out: Readings) -> None:
        """Read each file once."""
        readings = {series: total for resource in _LINES for series, total in self._totals(resource).items()}
        for series, (stalled, since) in self._deltas.step(out.ts, readings).items():
            value = stalled if isinstance(stalled, Missing) else stalled / _MICROSECONDS
            out.emit(_METRIC, value, attributes=_ATTRIBUTES[series], since=since)

    def stop(self) -> None:
        """Close the files."""
        for file in self._files.values():
            if not isinstance(file, Missing):
                os.close(file)
        self._files = {}

    def _totals(self, resource: str) -> dict[tuple[str, str], int | Missing]:
        """The totals of a resource in microseconds, by resource and line."""
        file = self._files[resource]
        text: bytes | Missing
        if isinstance(file, Missing):
            text = file
        else:
            try:
                text = os.pread(file, 1024, 0)
            except OSError as error:
                text = _unreadable(resource, error)
        return {
            (resource, line): text if isinstance(text, Missing) else _total(resource, line, text)
            for line in _LINES[resource]
        }


def _path(resource: str) -> str:
    return f"/proc/pressure/{resource}"


def _unreadable(resource: str, error: OSError) -> Missing:
    if error.errno == errno.ENOENT:
        return Missing(f"this kernel has no {_path(resource)}")
    if error.errno == errno.EOPNOTSUPP:
        return Missing(f"{_path(resource)}: pressure is not measured; start the kernel with psi=1")
    return Missing(f"{_path(resource)}: {error.strerror}")


def _total(resource: str, line: str, text: bytes) -> int | Missing:
    """The total of a line `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, in microseconds."""
    for words in map(bytes.split, text.split(b"\n")):
        if words and words[0] == line.encode() and words[-1].startswith(b"total="):
            digits = words[-1].removeprefix(b"total=")
            if digits.isdigit():
                return int(digits)
    return Missing(f"{_path(resource)} has no total of `{line}`")
