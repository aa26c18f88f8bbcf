"""The source `network`."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from operator import itemgetter, sub
from typing import TYPE_CHECKING, Any, NamedTuple

from meter.core.counters import unwrap
from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_DEV = "/proc/net/dev"
_CLASS = "/sys/class/net"
_RECEIVE, _TRANSMIT = {"network.io.direction": "receive"}, {"network.io.direction": "transmit"}

# Each counter with its place behind the name: eight counters of what was received, then eight of what was sent.
_COUNTERS: tuple[tuple[str, dict[str, str], int], ...] = (
    ("system.network.io", _RECEIVE, 0),
    ("system.network.io", _TRANSMIT, 8),
    ("system.network.packet.count", _RECEIVE, 1),
    ("system.network.packet.count", _TRANSMIT, 9),
    ("system.network.errors", _RECEIVE, 2),
    ("system.network.errors", _TRANSMIT, 10),
    ("system.network.packet.dropped", _RECEIVE, 3),
    ("system.network.packet.dropped", _TRANSMIT, 11),
)
_FIELDS = 16
_TITLES = 2  # lines

# States of include/net/tcp_states.h by their codes. A connection request (12) is a SYN that was received.
_STATES = (
    ("established", (b"01",)),
    ("syn_sent", (b"02",)),
    ("syn_received", (b"03", b"0C")),
    ("fin_wait_1", (b"04",)),
    ("fin_wait_2", (b"05",)),
    ("time_wait", (b"06",)),
    ("closed", (b"07",)),
    ("close_wait", (b"08",)),
    ("last_ack", (b"09",)),
    ("listen", (b"0A",)),
    ("closing", (b"0B",)),
)
_COUNT = "system.network.connection.count"
_STATE = re.compile(rb"^ *[0-9]+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) ", re.MULTILINE)
_SOCKETS = ("tcp", "tcp6", "udp", "udp6")

_PIECE = 1 << 16
_FULL = 1 << 11  # bytes; the kernel fills pieces of a page or more with lines that are far shorter than half of one

_AGAIN = Missing("the counters of the interface started again")


class Network(Source):
    """Traffic, losses and errors of network interfaces; with `connections`, how many sockets there are.

    Emits for each interface of the options, by `network.io.direction`: `system.network.io` (By),
    `system.network.packet.count`, `system.network.packet.dropped` ({packet}) and `system.network.errors` ({error}), all
    u64 and delta. An interface's first reading is its base. A counter that fell has wrapped at 2^32 where that explains
    all of its interface; else the interface's counters started again and are missing this once. With `connections`:
    `system.network.connection.count` ({connection}, u64, gauge) by `network.transport`, of TCP also by
    `network.connection.state`, of both versions of IP.

    Row: 8 columns for each interface; with `connections` a second one of 12. All of it is of the network namespace in
    which meter started.
    Raises: Retry, the file of interfaces could not be read this once; the next delta spans both intervals.
    Source: Linux, net/core/net-procfs.c; Documentation/networking/proc_net_tcp.rst; RFC 9293, section 3.3.2.
    """

    def start(self, context: SourceContext) -> None:
        """Open the files.

        Raises: OSError, the file of interfaces cannot be read; LookupError, only adapters are asked for and there is
            none.
        """
        self._context = context
        self._lines = _Lines(0, [], [], (), {}, None)
        self._last = _Reading((), ())
        self._shown: tuple[tuple[str, ...], ...] = ()
        self._columns = context.columns(())
        self._asked = [name for name in self.config["include"] if not set(name) & set("*?[")]
        self._file = context.open(_DEV)
        if self.config["interfaces"] == "physical" and not any(map(self._is_adapter, _names(self._file))):
            os.close(self._file)
            raise LookupError(
                'no network interface here is one of an adapter, as in a container; take `interfaces = "all"`'
            )
        self._sockets = _Sockets(context) if self.config["connections"] else None

    def poll(self, out: Readings) -> None:
        """Read each file once."""
        text = _whole(self._file, _DEV)
        words = _words(text)
        lines = self._lines if self._lines.fit(words) else self._look(text)
        try:
            now = _Reading(lines.interfaces, lines.counters(words))
        except ValueError:
            lines = self._look(text)
            now = _Reading(lines.interfaces, lines.counters(words))
        last = self._last
        both, before, after = now.interfaces, last.counters, now.counters
        if last.interfaces != now.interfaces:
            known = frozenset(last.interfaces)
            both = tuple(interface for interface in now.interfaces if interface in known)
            before, after = last.of(both), now.of(both)
        shown = (both, tuple(lines.blind))
        if shown != self._shown:
            self._columns = out.columns([*_columns(both), *_columns(lines.blind)])
        self._lines, self._last, self._shown = lines, now, shown
        out.row(self._columns, _cells(before, after, len(both)) + [*lines.blind.values()] * len(_COUNTERS))
        for name in self._asked:
            if name not in lines.interfaces and name not in lines.blind:
                reason = Missing(self._why_absent(name))
                for metric, attributes, _ in _COUNTERS:
                    out.emit(metric, reason, resource_id=name, attributes=attributes)
        self._asked.clear()
        if self._sockets is not None:
            self._sockets.poll(out)

    def stop(self) -> None:
        """Close what is open."""
        os.close(self._file)
        if self._sockets is not None:
            self._sockets.close()

    def _look(self, text: bytes) -> _Lines:
        """Find the interfaces of the options, and where their counters are among the words of the file."""
        total = 0
        marks: list[bytes] = []
        places: list[int] = []
        found: dict[str, list[int]] = {}
        blind: dict[str, Missing] = {}
        for nth, line in enumerate(text.split(b"\n")):
            # Old kernels put the first counter right behind the colon, and let names hold colons.
            name, colon, counters = line.rpartition(b":")
            words = counters.split()
            named = _words(name + colon)
            if nth >= _TITLES and colon:
                marks += named
                places += range(total, total + len(named))
                interface = name.strip().decode(errors="backslashreplace")
                # One that comes while the file is handed over can push another into the next piece once more.
                if interface not in found and interface not in blind and not self._why_not(interface, name.strip()):
                    reason = _why_blind(interface, words)
                    if reason:
                        blind[interface] = Missing(reason)
                        marks += words
                        places += range(total + len(named), total + len(named) + len(words))
                    else:
                        found[interface] = [total + len(named) + place for _, _, place in _COUNTERS]
            total += len(_words(line))
        cells = [place for column in zip(*found.values(), strict=True) for place in column]
        return _Lines(total, marks, places, tuple(found), blind, itemgetter(*cells) if cells else None)

    def _why_not(self, interface: str, name: bytes) -> str:
        """Why the options leave an interface out; empty where they do not."""
        config = self.config
        if interface not in config["include"]:
            if not any(fnmatchcase(interface, pattern) for pattern in config["include"]):
                return "`include` does not name it"
            if any(fnmatchcase(interface, pattern) for pattern in config["exclude"]):
                return "`exclude` leaves it out"
        if config["interfaces"] == "physical" and not self._is_adapter(os.fsdecode(name)):
            return 'it is not one of an adapter, and `interfaces = "physical"` leaves it out; take `"all"`'
        return ""

    def _why_absent(self, interface: str) -> str:
        """Why an interface that was asked for by its name is not measured."""
        name = os.fsencode(interface)
        there = name + b":" in self._lines.marks
        return (there and self._why_not(interface, name)) or f"there is no interface `{interface}` in {_DEV} yet"

    def _is_adapter(self, name: str) -> bool:
        """Whether there is a device behind an interface: it is neither software alone nor stacked on others."""
        try:
            return "device" in self._context.listdir(f"{_CLASS}/{name}")
        except OSError:
            return False


class _Lines(NamedTuple):
    """Where in the words of the file things are.

    `total` words in all, with `marks` at `places`: names, and the whole lines of `blind`. `interfaces` are those of the
    options, whose counters `pick` gives by counter and interface; `blind` are those of the options whose lines are not
    understood, with the reason.
    """

    total: int
    marks: list[bytes]
    places: list[int]
    interfaces: tuple[str, ...]
    blind: dict[str, Missing]
    pick: Callable[[list[bytes]], tuple[bytes, ...]] | None

    def fit(self, words: list[bytes]) -> bool:
        """Whether the file has the same lines as it had, and those that are not understood have not changed."""
        return len(words) == self.total and [words[place] for place in self.places] == self.marks

    def counters(self, words: list[bytes]) -> Sequence[int]:
        """The counters, by counter and interface. Raises: ValueError, one is no number, or below 0."""
        if self.pick is None:
            return ()
        counters = list(map(int, self.pick(words)))
        if min(counters) < 0:
            raise ValueError
        return counters


class _Reading(NamedTuple):
    """One reading: the counters by counter and interface."""

    interfaces: tuple[str, ...]
    counters: Sequence[int]

    def of(self, interfaces: tuple[str, ...]) -> list[int]:
        """The counters of some of the interfaces."""
        width = len(self.interfaces)
        places = {interface: place for place, interface in enumerate(self.interfaces)}
        return [self.counters[nth * width + places[each]] for nth in range(len(_COUNTERS)) for each in interfaces]


class _Sockets:
    """Counts sockets by transport and state."""

    def __init__(self, context: SourceContext) -> None:
        self._files: dict[str, int] = {}
        self._reasons: dict[str, Missing] = {}
        for name in _SOCKETS:
            try:
                self._files[name] = context.open(f"/proc/net/{name}")
            except FileNotFoundError:
                if not name.endswith("6"):  # a kernel without version 6 has no sockets of it
                    self._reasons[name] = Missing(f"there is no /proc/net/{name}")
            except OSError as error:
                self._reasons[name.rstrip("6")] = Missing(f"/proc/net/{name}: {error.strerror}")
        tcp = (ColumnSpec(_COUNT, attributes=_tcp(state)) for state, _ in _STATES)
        self._columns = context.columns([*tcp, ColumnSpec(_COUNT, attributes={"network.transport": "udp"})])

    def poll(self, out: Readings) -> None:
        """Read the files once."""
        reasons = dict(self._reasons)
        states: list[bytes] = []
        datagrams = 0
        for name, file in self._files.items():
            try:
                text = _whole(file, f"/proc/net/{name}")
            except Retry as error:
                reasons[name.rstrip("6")] = Missing(str(error))
                continue
            found = _STATE.findall(text)
            if len(found) != max(0, text.count(b"\n") - 1):
                reasons[name.rstrip("6")] = Missing(f"/proc/net/{name} has a line that is no socket")
            elif name.startswith("tcp"):
                states += found
            else:
                datagrams += len(found)
        cells: list[int | Missing] = [sum(map(states.count, codes)) for _, codes in _STATES]
        if "tcp" in reasons:
            cells = [reasons["tcp"]] * len(_STATES)
        out.row(self._columns, [*cells, reasons.get("udp", datagrams)])

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file)


def _tcp(state: str) -> dict[str, str]:
    return {"network.transport": "tcp", "network.connection.state": state}


def _whole(file: int, path: str) -> bytes:
    """The whole file; the kernel hands it over in pieces of whole lines, however much is asked for.

    A piece that is not full is the last one. To ask once more would be safe too, but for /proc/net/tcp the kernel then
    searches all of its table again, which takes milliseconds.
    Raises: Retry, it cannot be read this once.
    """
    try:
        text = piece = os.pread(file, _PIECE, 0)
        while len(piece) >= _FULL:
            piece = os.pread(file, _PIECE, len(text))
            text += piece
    except OSError as error:
        raise Retry(f"{path}: {error.strerror}") from error
    if text and not text.endswith(b"\n"):
        raise Retry(f"{path} ends within a line")
    return text


def _names(file: int) -> list[str]:
    """The names of all interfaces, as paths have them. Raises: Retry, the file cannot be read this once."""
    lines = _whole(file, _DEV).split(b"\n")[_TITLES:-1]
    return [os.fsdecode(line.rpartition(b":")[0].strip()) for line in lines]


def _words(text: bytes) -> list[bytes]:
    """The words of lines, with what stands behind a colon as a word of its own."""
    return text.replace(b":", b": ").split()


def _why_blind(interface: str, words: Sequence[bytes]) -> str:
    """Why the counters of an interface are not understood; empty where they are."""
    if len(words) != _FIELDS:
        return f"{_DEV} has {len(words)} counters for `{interface}`, not {_FIELDS}"
    for metric, _, place in _COUNTERS:
        if not words[place].isdigit():
            text = words[place].decode(errors="backslashreplace")
            return f"{_DEV} has `{text}` as counter {place + 1} of `{interface}`, no number for {metric}"
    return ""


def _columns(interfaces: Iterable[str]) -> Iterable[ColumnSpec]:
    """The columns of a row, by counter and interface."""
    return (
        ColumnSpec(metric, interface, attributes=attributes)
        for metric, attributes, _ in _COUNTERS
        for interface in interfaces
    )


def _cells(before: Sequence[int], after: Sequence[int], width: int) -> list[Any]:
    """What each counter has counted, by counter and interface, `width` interfaces."""
    cells: list[Any] = list(map(sub, after, before))
    if cells and min(cells) < 0:
        for place in unwrap(cells, before, width):
            cells[place::width] = [_AGAIN] * len(_COUNTERS)
    return cells
