"""The source `network`."""

from __future__ import annotations

import _socket  # the C part of socket: the whole module takes 1.5 MiB
import os
import re
from fcntl import ioctl
from typing import TYPE_CHECKING

from meter.core.listings import Changes, Lines, Reading, fits_nothing, left_out, named, whole
from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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

_TRIES = 3

# linux/sockios.h, linux/if.h: a request has the name in 16 bytes, and the answer the number behind it.
_SIOCGIFINDEX = 0x8933
_REQUEST, _NUMBER = 40, slice(16, 20)
_LONGEST = 15

_AGAIN = Missing("the counters of the interface started again")
_OTHER = Missing("the interface was removed or renamed, and another one has its name since")


class Network(Source):
    """Traffic, losses and errors of network interfaces; with `connections`, how many sockets there are.

    Emits for each interface of the options, by `network.io.direction`: `system.network.io` (By),
    `system.network.packet.count`, `system.network.packet.dropped` ({packet}) and `system.network.errors` ({error}), all
    u64 and delta. An interface's first reading is its base. A counter that fell has wrapped at 2^32 where that explains
    all of its interface; else the interface's counters started again and are missing this once, as they are where
    another interface has got its name. With `connections`:
    `system.network.connection.count` ({connection}, u64, gauge) by `network.transport`, of TCP also by
    `network.connection.state`, of both versions of IP.

    Row: 8 columns for each interface; with `connections` a second one of 12. All of it is of the network namespace in
    which meter started.
    Raises: Retry, the file of interfaces could not be read this once, or they changed meanwhile; the next delta spans
        both intervals.
    Source: Linux, net/core/net-procfs.c; Documentation/networking/proc_net_tcp.rst; RFC 9293, section 3.3.2.
    """

    def start(self, context: SourceContext) -> None:
        """Open the files.

        Raises: OSError, the file of interfaces cannot be read; LookupError, only adapters are asked for and there is
            none, or the patterns of the options fit no interface.
        """
        self._context = context
        self._lines = Lines()
        self._seen: tuple[object, ...] = ((), ())
        self._last = Reading()
        self._shown: tuple[tuple[str, ...], ...] = ()
        self._columns = context.columns(())
        self._asked = named(self.config["include"])
        self._file = context.open(_DEV)
        self._numbers = _Numbers()
        self._sockets = None
        try:
            self._refuse_nothing()
            self._sockets = _Sockets(context) if self.config["connections"] else None
        except BaseException:
            self.stop()
            raise

    def poll(self, out: Readings) -> None:
        """Read each file once, that of interfaces again where some have come or gone."""
        now = self._read()
        lines = self._lines
        before, after = now.both(self._last)
        shown = (after.names, tuple(lines.blind))
        if shown != self._shown:
            self._columns = out.columns([*_columns(after.names), *_columns(lines.blind)])
        self._last, self._shown = now, shown
        changes = Changes.between(before, after)
        cells = changes.blank(changes.counts, _AGAIN, _OTHER)
        cells += [*lines.blind.values()] * len(_COUNTERS)
        if not cells:
            out.nothing()
        out.row(self._columns, cells)
        for name in self._asked:
            if name not in lines.names and name not in lines.blind:
                reason = Missing(self._why_absent(name))
                for metric, attributes, _ in _COUNTERS:
                    out.emit(metric, reason, resource_id=name, attributes=attributes)
        self._asked.clear()
        if self._sockets is not None:
            self._sockets.poll(out)

    def stop(self) -> None:
        """Close what is open."""
        os.close(self._file)
        self._numbers.close()
        if self._sockets is not None:
            self._sockets.close()

    def _read(self) -> Reading:
        """The counters of the interfaces, which are the same before and after."""
        for _ in range(_TRIES):
            text = whole(self._file, _DEV)
            words = _words(text)
            if not self._lines.fit(words):
                self._lines = self._look(text)
            try:
                counters = self._lines.counters(words)
            except ValueError:
                self._lines = self._look(text)
                counters = self._lines.counters(words)
            now = Reading(self._lines.names, self._numbers.ask(), counters)
            if now[:2] == self._seen:
                return now
            self._seen = now[:2]
        raise Retry(f"{_DEV}: interfaces came and went each time while it was read")

    def _refuse_nothing(self) -> None:
        """Raises: LookupError, the options leave nothing."""
        text = whole(self._file, _DEV)
        there = [line.rpartition(b":")[0].strip() for line in text.split(b"\n")[_TITLES:-1]]
        physical = self.config["interfaces"] == "physical"
        if physical and not any(self._is_adapter(os.fsdecode(name)) for name in there):
            raise LookupError(
                'no network interface here is one of an adapter, as in a container; take `interfaces = "all"`'
            )
        lines = self._look(text)
        if not lines.names and not lines.blind:
            known = [name.decode(errors="backslashreplace") for name in there]
            if told := fits_nothing("interface", known, self.config["include"], self.config["exclude"]):
                raise LookupError(told + ', or take `interfaces = "all"`' * physical)

    def _look(self, text: bytes) -> Lines:
        """Find the interfaces of the options, and where their counters are among the words of the file."""
        total = 0
        marks: list[bytes] = []
        places: list[int] = []
        found: dict[str, list[int]] = {}
        blind: dict[str, Missing] = {}
        names: list[bytes] = []
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
                        names.append(name.strip())
                        found[interface] = [total + len(named) + place for _, _, place in _COUNTERS]
            total += len(_words(line))
        self._numbers.of(names)
        return Lines.of(total, marks, places, found, blind)

    def _why_not(self, interface: str, name: bytes) -> str:
        """Why the options leave an interface out; empty where they do not."""
        if out := left_out(interface, self.config["include"], self.config["exclude"]):
            return out
        if self.config["interfaces"] == "physical" and not self._is_adapter(os.fsdecode(name)):
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


class _Numbers:
    """The number of each interface, which tells it from others that had or get its name.

    Asked from the kernel by name: a file of /sys may be of another network namespace, and a kept one follows an
    interface that is renamed.
    """

    def __init__(self) -> None:
        self._requests: list[bytes] = []
        try:
            self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM).detach()
        except OSError:  # where a sandbox forbids it, nothing tells them apart
            self._socket = -1

    def of(self, names: Iterable[bytes]) -> None:
        """Ask for these from now on."""
        self._requests = [name.ljust(_REQUEST, b"\0") if len(name) <= _LONGEST else b"" for name in names]

    def ask(self) -> tuple[bytes, ...]:
        """The numbers now; empty where there is none."""
        return tuple([self._number(request) for request in self._requests])

    def close(self) -> None:
        """Close the socket."""
        if self._socket >= 0:
            os.close(self._socket)

    def _number(self, request: bytes) -> bytes:
        if not request or self._socket < 0:
            return b""
        try:
            return ioctl(self._socket, _SIOCGIFINDEX, request)[_NUMBER]
        except OSError:
            return b""


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
                text = whole(file, f"/proc/net/{name}")
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
