"""The source `thermal`."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, Readings

_CLASS = "/sys/class/thermal"
_ZONE = "thermal_zone"
_GONE = frozenset({errno.ENODEV, errno.ENOENT})

# In thousandths of a degree. Drivers say less than absolute zero, or the greatest number, where they know nothing.
_ABSOLUTE_ZERO = -273_150
_GREATEST = 2**31 - 1


class Thermal(Source):
    """Temperature of each thermal zone, and where the kernel shuts the machine down because of it.

    Emits `hw.temperature` (Cel, f64, gauge) for each zone, and `hw.temperature.limit` for each that has a critical trip
    point. The resource is the zone, such as `sensor/thermal_zone0`; `hw.name` is its type. A zone that could not be
    read, as while its device sleeps, is missing this once. One that appears gives its series from then on, one that was
    removed ends them.

    Row: one or two columns for each zone. Steps are those of the sensor, at best 0.001 Cel.
    Raises: Retry, the zones could not be listed this once.
    Source: Linux, Documentation/driver-api/thermal/sysfs-api.rst; Documentation/ABI/testing/sysfs-class-thermal.
    """

    def start(self, context: SourceContext) -> None:
        """Find the zones. Raises: OSError, they cannot be listed; LookupError, there is none."""
        self._context = context
        self._zones: dict[str, _Zone] = {}
        self._removed: set[str] = set()
        self._find(_names(context.listdir(_CLASS)))
        if not self._zones:
            raise LookupError(f"there is no thermal zone in {_CLASS}: leave this source out on such a machine")
        self._columns = self._declare(context.columns)

    def poll(self, out: Readings) -> None:
        """Read each zone once."""
        for name in self._removed:
            self._close(name)
        self._removed.clear()
        try:
            names = _names(self._context.listdir(_CLASS))
        except OSError as error:
            raise Retry(f"{_CLASS}: {error.strerror}") from error
        if names != list(self._zones):
            self._find(names)
            self._columns = self._declare(out.columns)
        cells: list[float | Missing] = []
        for name, zone in self._zones.items():
            cells.append(self._degrees(name, zone.temperature))
            if zone.critical is not None:
                cells.append(self._degrees(name, zone.critical))
        if all(zone.critical is None for zone in self._zones.values()):
            out.nothing("hw.temperature.limit")
        if not self._zones:
            out.nothing()
        out.row(self._columns, cells)

    def stop(self) -> None:
        """Close the files."""
        for name in list(self._zones):
            self._close(name)

    def _find(self, names: Sequence[str]) -> None:
        """Open the zones that are new, and forget those that have gone."""
        for name in [name for name in self._zones if name not in names]:
            self._close(name)
        found = {name: self._zones.get(name) or self._open(name) for name in names}
        self._zones = {name: zone for name, zone in found.items() if zone is not None}

    def _open(self, name: str) -> _Zone | None:
        """A zone; None where it is being removed."""
        folder = f"{_CLASS}/{name}"
        opened: list[_File] = []
        try:
            kind = _text(self._context, f"{folder}/type")
            opened.append(_file(self._context, f"{folder}/temp"))
            trips = [path for path in self._context.listdir(folder) if _is_trip(path)]
            critical = [trip for trip in trips if _text(self._context, f"{folder}/{trip}") == "critical"]
            if critical:
                opened.append(_file(self._context, f"{folder}/{min(critical).removesuffix('type')}temp"))
        except OSError as error:
            for file in opened:
                file.close()
            if isinstance(error, FileNotFoundError):
                return None
            raise
        return _Zone(kind, opened[0], opened[1] if critical else None)

    def _close(self, name: str) -> None:
        zone = self._zones.pop(name)
        zone.temperature.close()
        if zone.critical is not None:
            zone.critical.close()

    def _declare(self, columns: Callable[[Iterable[ColumnSpec]], Columns]) -> Columns:
        """The columns of the present zones."""
        specs = []
        for name, zone in self._zones.items():
            attributes = {"hw.name": zone.kind}
            specs.append(ColumnSpec("hw.temperature", name, attributes=attributes))
            if zone.critical is not None:
                limit = {**attributes, "hw.limit_type": "critical"}
                specs.append(ColumnSpec("hw.temperature.limit", name, attributes=limit))
        return columns(specs)

    def _degrees(self, name: str, file: _File) -> float | Missing:
        """What a file says, in degrees Celsius."""
        if isinstance(file.descriptor, Missing):
            return file.descriptor
        try:
            text = os.pread(file.descriptor, 64, 0)
        except OSError as error:
            if error.errno in _GONE:
                self._removed.add(name)
            return Missing(f"{file.path}: {error.strerror}")
        try:
            thousandths = int(text)
        except ValueError:
            return Missing(f"{file.path} holds {text!r}, which is no temperature")
        if not _ABSOLUTE_ZERO <= thousandths < _GREATEST:
            return Missing(f"{file.path} holds {thousandths}, which stands for a temperature that is not known")
        return thousandths / 1000


class _File(NamedTuple):
    """An open file, or why it cannot be opened."""

    path: str
    descriptor: int | Missing

    def close(self) -> None:
        if not isinstance(self.descriptor, Missing):
            os.close(self.descriptor)


class _Zone(NamedTuple):
    """A zone: its type, its temperature, and its critical trip point if it has one."""

    kind: str
    temperature: _File
    critical: _File | None


def _names(found: Iterable[str]) -> list[str]:
    """The zones in a folder, which holds cooling devices too, in the order of their numbers."""
    return sorted((name for name in found if name.startswith(_ZONE)), key=lambda name: (len(name), name))


def _is_trip(name: str) -> bool:
    return name.startswith("trip_point_") and name.endswith("_type")


def _file(context: SourceContext, path: str) -> _File:
    """Raises: FileNotFoundError, there is none."""
    try:
        return _File(path, context.open(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        return _File(path, Missing(f"{path}: {error.strerror}"))


def _text(context: SourceContext, path: str) -> str:
    """A text without the line break at its end. Raises: FileNotFoundError, the zone is being removed."""
    file = context.open(path)
    try:
        return os.pread(file, 256, 0).decode("utf-8", "surrogateescape").strip()
    except OSError as error:
        raise FileNotFoundError(error.errno, error.strerror, path) from error
    finally:
        os.close(file)
