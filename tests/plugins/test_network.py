"""The source `network`, on made files, on the real ones, and in a network namespace of its own."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core import Backend
from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted
from tests.strategies import steady

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ROOT = Path(__file__).parents[2]
AGAIN = "the counters of the interface started again"
TITLES = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast"
    "|bytes    packets errs drop fifo colls carrier compressed\n"
)
METRICS = ("system.network.io", "system.network.packet.count", "system.network.errors", "system.network.packet.dropped")
SERIES = [(metric, way) for metric in METRICS for way in ("receive", "transmit")]
COUNT = "system.network.connection.count"
STATES = {
    "01": "established",
    "02": "syn_sent",
    "03": "syn_received",
    "04": "fin_wait_1",
    "05": "fin_wait_2",
    "06": "time_wait",
    "07": "closed",
    "08": "close_wait",
    "09": "last_ack",
    "0A": "listen",
    "0B": "closing",
}
FLAT = [100] * 16


class Net:
    """A /proc/net and a /sys/class/net that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proc = root / "proc" / "net"
        self.proc.mkdir(parents=True)
        self.file = self.proc / "dev"
        self.sys = root / "sys" / "class" / "net"
        self.sys.mkdir(parents=True)

    def write(self, interfaces: Mapping[str, Iterable[int]], colon: str = ": ") -> None:
        """The counters of each interface in the kernel's order, 16 of them."""
        lines = [f"{name:>6}{colon}{' '.join(map(str, numbers))}\n" for name, numbers in interfaces.items()]
        self.file.write_bytes((TITLES + "".join(lines)).encode(errors="surrogateescape"))

    def add(self, name: str, *, adapter: bool) -> None:
        """An interface in /sys."""
        (self.sys / name / ("device" if adapter else "queues")).mkdir(parents=True)

    def sockets(self, name: str, states: Iterable[str]) -> None:
        """A file of sockets in these states."""
        long = "0" * (32 if name.endswith("6") else 8)
        lines = [
            f"{nth:4d}: {long}:0016 {long}:0000 {state} 00000000:00000000 00:00000000\n"
            for nth, state in enumerate(states)
        ]
        (self.proc / name).write_text("  sl  local_address rem_address   st tx_queue rx_queue tr\n" + "".join(lines))

    def mount(self, **config: Any) -> Mounted:
        """The source over it."""
        return Mounted("network", config, self.root)


@pytest.fixture
def net(tmp_path: Path) -> Net:
    """Without any interface."""
    return Net(tmp_path)


def poll(mounted: Mounted, seconds: int) -> dict[str, dict[tuple[str, str], Any]]:
    """One poll: values or reasons by interface, metric and direction."""
    found: dict[str, dict[tuple[str, str], Any]] = {}
    for row in mounted.rows(seconds * SECOND):
        for key, value in zip(row.columns.keys, row.values, strict=True):
            if key.metric.name != COUNT:
                cell = value.reason if isinstance(value, Missing) else value
                found.setdefault(key.resource[1], {})[key.metric.name, key.attributes[0][1]] = cell
    return found


def connections(mounted: Mounted, seconds: int) -> dict[str, Any]:
    """One poll: how many sockets there are in each state of TCP, and of UDP."""
    found = {}
    for row in mounted.rows(seconds * SECOND):
        for key, value in zip(row.columns.keys, row.values, strict=True):
            if key.metric.name == COUNT:
                attributes = dict(key.attributes)
                cell = value.reason if isinstance(value, Missing) else value
                found[attributes.get("network.connection.state", attributes["network.transport"])] = cell
    return found


def counted(cells: Mapping[tuple[str, str], Any]) -> list[Any]:
    """The deltas of an interface in the order of SERIES."""
    return [cells[series] for series in SERIES]


# ------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("colon", [": ", ":"])  # kernels before 3.1 put the counter right behind the colon
def test_columns_are_those_of_the_kernel(net: Net, colon: str) -> None:
    """Bytes, packets, errors and drops of both directions; the other columns are not taken."""
    net.write({"eth0": range(16), "wlan0": [0] * 16}, colon)
    mounted = net.mount()
    assert poll(mounted, 1) == {}
    net.write({"eth0": [place + 10 ** (place % 8) * (1 + place // 8) for place in range(16)], "wlan0": [0] * 16}, colon)

    actual = poll(mounted, 3)
    mounted.source.stop()

    assert {name: counted(cells) for name, cells in actual.items()} == {
        "eth0": [1, 2, 10, 20, 100, 200, 1000, 2000],
        "wlan0": [0] * 8,
    }


def test_two_polls_give_one_row_over_the_whole_span(net: Net) -> None:
    """The first reading is the base; its time is where the row begins."""
    net.write({"eth0": FLAT})
    mounted = net.mount()
    assert mounted.rows(3 * SECOND) == []

    [row] = mounted.rows(10 * SECOND)
    mounted.source.stop()

    assert (row.since, row.ts) == (3 * SECOND, 10 * SECOND)


def test_great_counters_stay_exact(net: Net) -> None:
    """Integers are never rounded."""
    net.write({"eth0": [2**63] * 16})
    mounted = net.mount()
    poll(mounted, 1)
    net.write({"eth0": [2**63 + 1] * 16})

    assert counted(poll(mounted, 2)["eth0"]) == [1] * 8
    mounted.source.stop()


NAMES = st.text(
    st.characters(exclude_characters="/: \t\n\r\x0b\x0c\x00", exclude_categories=["Cs"]), min_size=1, max_size=5
).filter(lambda name: name not in {".", ".."})


@steady
@given(st.lists(st.dictionaries(NAMES, st.integers(0, 2**40), max_size=4), min_size=2, max_size=5))
def test_any_interfaces_may_come_and_go(tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, int]]) -> None:
    """Whatever the names: what an interface was seen to do between two polls is told, and nothing else."""
    net = Net(tmp_path_factory.mktemp("net"))
    totals: dict[str, int] = {}
    before: dict[str, int] = {}
    mounted: Mounted | None = None
    for nth, step in enumerate(steps):
        for name, more in step.items():
            totals[name] = totals.get(name, 0) + more
        reading = {name: totals[name] for name in step}
        net.write({name: [total] * 16 for name, total in reading.items()})
        mounted = mounted or net.mount(exclude=[])
        actual = {name: counted(cells) for name, cells in poll(mounted, nth).items()}
        assert actual == {name: [total - before[name]] * 8 for name, total in reading.items() if name in before}
        before = reading
    assert mounted is not None
    mounted.source.stop()


def test_a_file_in_pieces_is_read_whole(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel hands over at most a page or so of whole lines, however much is asked for."""
    names = [f"veth{nth:03d}" for nth in range(300)]
    net.write(dict.fromkeys(names, FLAT))
    mounted = net.mount()
    file, pread = mounted.source._file, os.pread  # type: ignore[attr-defined]

    def page(descriptor: int, size: int, offset: int) -> bytes:
        text = pread(descriptor, size, offset)
        return text[: text.rindex(b"\n", 0, 4096) + 1] if descriptor == file and len(text) > 4096 else text

    monkeypatch.setattr(os, "pread", page)
    poll(mounted, 1)
    net.write({name: [100 + nth] * 16 for nth, name in enumerate(names)})
    actual = poll(mounted, 2)
    monkeypatch.undo()
    mounted.source.stop()

    assert {name: counted(cells) for name, cells in actual.items()} == {
        name: [nth] * 8 for nth, name in enumerate(names)
    }


def test_steady_interfaces_give_identical_columns(net: Net) -> None:
    """Columns are declared anew only when the set of interfaces has changed."""
    net.write({"eth0": FLAT})
    mounted = net.mount()
    mounted.rows(SECOND)

    rows = [mounted.rows(nth * SECOND)[0] for nth in (2, 3)]
    mounted.source.stop()

    assert rows[0].columns is rows[1].columns


# ----------------------------------------------------------------------------------------------------- wrap and reset

OTHERS = [100] * 8  # of the other direction


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # bytes of a driver with 32 bits wrapped
        ([2**32 - 10, *[100] * 7, *OTHERS], [20, *[101] * 7, *OTHERS], [30, 0, 1, 0, 1, 0, 1, 0]),
        # made anew
        (FLAT, [1] * 16, [AGAIN] * 8),
        # made anew: the bytes look as if they had wrapped, the packets do not
        ([2**32 - 10, 50_000, 0, 0, *[0] * 12], [20, 1, 0, 0, *[0] * 12], [AGAIN] * 8),
        # a counter of more than 32 bits does not wrap there
        ([2**32, *[100] * 7, *OTHERS], [20, *[101] * 7, *OTHERS], [AGAIN] * 8),
        # more than half of the range in one row is not to be told from a reset
        ([2**31, *[100] * 7, *OTHERS], [2**31 - 1, *[101] * 7, *OTHERS], [AGAIN] * 8),
    ],
)
def test_a_counter_that_fell_wrapped_or_started_again(
    net: Net, before: list[int], after: list[int], expected: list[Any]
) -> None:
    """A wrap is corrected; after a reset all of the interface is missing once, never 0; others go on."""
    net.write({"eth0": before, "eth1": FLAT})
    mounted = net.mount()
    poll(mounted, 1)
    net.write({"eth0": after, "eth1": [102] * 16})
    fell = poll(mounted, 2)
    net.write({"eth0": [number + 3 for number in after], "eth1": [102] * 16})
    later = poll(mounted, 3)
    mounted.source.stop()

    assert counted(fell["eth0"]) == expected
    assert counted(fell["eth1"]) == [2] * 8
    assert counted(later["eth0"]) == [3] * 8


class Kernel:
    """What stands between a test and the kernel's answer to what number an interface has."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}
        self.asked = 0
        self.meanwhile: Callable[[], object] = lambda: None

    def ioctl(self, _: int, request: int, name: bytes) -> bytes:
        """SIOCGIFINDEX and nothing else."""
        assert request == 0x8933
        self.asked += 1
        number = self.numbers.get(name[:16].rstrip(b"\0"))
        self.meanwhile()
        if number is None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return name[:16] + number.to_bytes(4, sys.byteorder) + name[20:]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """One that knows two interfaces."""
    made = Kernel()
    made.numbers = {b"eth0": 2, b"eth1": 3}
    monkeypatch.setattr("meter.plugins.network.plugin.ioctl", made.ioctl)
    return made


@pytest.mark.parametrize("numbers", [{b"eth0": 9, b"eth1": 3}, {b"eth1": 3}])
def test_another_interface_of_the_same_name_is_not_taken_for_it(
    net: Net, kernel: Kernel, numbers: dict[bytes, int]
) -> None:
    """Although its counters are higher: missing once with the reason, then what it counts; others go on."""
    net.write({"eth0": FLAT, "eth1": FLAT})
    mounted = net.mount()
    poll(mounted, 1)
    kernel.numbers = numbers
    net.write({"eth0": [150] * 16, "eth1": [101] * 16})
    other = poll(mounted, 2)
    net.write({"eth0": [153] * 16, "eth1": [101] * 16})
    later = poll(mounted, 3)
    mounted.source.stop()

    assert counted(other["eth0"]) == ["the interface was removed or renamed, and another one has its name since"] * 8
    assert counted(other["eth1"]) == [1] * 8
    assert counted(later["eth0"]) == [3] * 8


def test_an_interface_made_anew_while_it_is_read_has_its_own_base(net: Net, kernel: Kernel) -> None:
    """What was read just before it was replaced is never the base of the one behind it."""
    net.write({"eth0": FLAT})
    mounted = net.mount()
    poll(mounted, 1)

    def replace() -> None:
        kernel.meanwhile = lambda: None
        kernel.numbers[b"eth0"] = 9
        net.write({"eth0": [500] * 16})

    kernel.meanwhile = replace  # behind the answer for the second reading
    poll(mounted, 2)
    third = poll(mounted, 3)
    net.write({"eth0": [507] * 16})
    fourth = poll(mounted, 4)
    mounted.source.stop()

    assert set(map(type, counted(third["eth0"]))) == {str}
    assert counted(fourth["eth0"]) == [7] * 8


def test_interfaces_that_never_rest_are_tried_again(net: Net, kernel: Kernel) -> None:
    """The poll fails instead of guessing; the next one spans both intervals."""
    net.write({"eth0": FLAT, "eth1": FLAT})
    mounted = net.mount()
    poll(mounted, 1)
    numbers = iter(range(10, 99))
    kernel.meanwhile = lambda: kernel.numbers.update({b"eth1": next(numbers)})
    with pytest.raises(Retry, match="came and went"):
        mounted.rows(2 * SECOND)
    mounted.readings.drop()
    kernel.meanwhile = lambda: None
    net.write({"eth0": [104] * 16, "eth1": FLAT})

    cells = poll(mounted, 3)
    mounted.source.stop()

    assert counted(cells["eth0"]) == [4] * 8


def test_steady_interfaces_are_asked_for_once_in_a_poll(net: Net, kernel: Kernel) -> None:
    """One question each; twice only where something is new."""
    net.write({"eth0": FLAT, "eth1": FLAT})
    mounted = net.mount()
    asked = []
    for second in (1, 2, 3):
        before = kernel.asked
        poll(mounted, second)
        asked.append(kernel.asked - before)
    mounted.source.stop()

    assert asked == [4, 2, 2]


# --------------------------------------------------------------------------------------------- which interfaces, names


@pytest.fixture
def host(net: Net) -> Net:
    """A machine with two adapters, a bond of them, a bridge with a container, and a tunnel."""
    for name in ("eth0", "eth1"):
        net.add(name, adapter=True)
    for name in ("lo", "bond0", "docker0", "veth@if3", "wg0"):
        net.add(name, adapter=False)
    net.write(dict.fromkeys((*(path.name for path in net.sys.iterdir()), "gone"), FLAT))
    return net


ADAPTERS = {"eth0", "eth1"}
ALL = ADAPTERS | {"bond0", "docker0", "veth@if3", "wg0", "gone"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ALL),  # the loopback moves nothing to or from the machine
        ({"exclude": []}, ALL | {"lo"}),
        ({"include": ["lo"]}, {"lo"}),  # named, so it stays
        ({"include": ["lo", "*"]}, ALL | {"lo"}),
        ({"include": ["eth*", "veth@if[0-9]"], "exclude": ["eth1"]}, {"eth0", "veth@if3"}),
        ({"interfaces": "physical"}, ADAPTERS),  # a packet of any of the others passes one of these, or stays here
        ({"interfaces": "physical", "exclude": []}, ADAPTERS),
    ],
)
def test_which_interfaces_are_measured(host: Net, config: dict[str, Any], expected: set[str]) -> None:
    """By default each but the loopback; with `physical` those over which the machine exchanges with others."""
    mounted = host.mount(**config)
    poll(mounted, 1)

    seen = set(poll(mounted, 2))
    mounted.source.stop()

    assert seen == expected


@pytest.mark.parametrize(("interfaces", "additive"), [("physical", True), ("all", False)])
def test_a_sum_over_interfaces_is_allowed_where_it_is_right(tmp_path: Path, interfaces: str, additive: bool) -> None:  # noqa: FBT001  (a truth table)
    """The plan says of each metric that it is additive with adapters only, and not where one packet is in several."""
    plan = Backend("/net").add("network", interfaces=interfaces).add("csv", path=str(tmp_path / "x.csv")).check()

    assert [each["additive"] for each in plan.document["plugins"][0]["emits"]] == [additive] * 4


def test_physical_without_adapters_is_refused(net: Net) -> None:
    """As in a container: nothing would be measured, and it says what to do."""
    net.add("eth0", adapter=False)
    net.add("eth1", adapter=True)  # of another namespace, which /sys may show
    net.write({"eth0": FLAT})
    count = len(os.listdir("/proc/self/fd"))

    with pytest.raises(LookupError, match='take `interfaces = "all"`'):
        net.mount(interfaces="physical")

    assert len(os.listdir("/proc/self/fd")) == count


@pytest.mark.parametrize(
    "config",
    [
        {"include": ["nope*"]},
        {"include": ["wl*", "ww[0-9]"]},
        {"include": []},
        {"exclude": ["*"]},
        {"include": ["wg*"], "interfaces": "physical"},
    ],
)
def test_options_that_leave_nothing_are_refused(host: Net, config: dict[str, Any]) -> None:
    """With what there is; they would measure nothing for ever. Nothing stays open."""
    count = len(os.listdir("/proc/self/fd"))
    with pytest.raises(LookupError, match="the options leave no interface to measure; there are `bond0`, `docker0`"):
        host.mount(**config)

    assert len(os.listdir("/proc/self/fd")) == count


@pytest.mark.parametrize("config", [{}, {"include": ["eth7"]}, {"include": ["nope*", "eth7"]}, {"include": ["*"]}])
def test_what_may_come_is_waited_for(net: Net, config: dict[str, Any]) -> None:
    """A machine with the loopback only, and names that are not there yet."""
    net.write({"lo": FLAT})
    mounted = net.mount(**config)
    poll(mounted, 1)
    net.write({"lo": FLAT, "eth7": FLAT})
    poll(mounted, 2)

    assert list(poll(mounted, 3)) == ["eth7"]
    mounted.source.stop()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("eth7", "there is no interface `eth7` in /proc/net/dev yet"),
        ("wg0", 'it is not one of an adapter, and `interfaces = "physical"` leaves it out; take `"all"`'),
    ],
)
def test_a_named_interface_that_is_not_measured_says_why(host: Net, name: str, reason: str) -> None:
    """Once, and what else is asked for is measured."""
    mounted = host.mount(interfaces="physical", include=[name, "eth0"])

    first, second = poll(mounted, 1), poll(mounted, 2)
    mounted.source.stop()

    assert first == {name: dict.fromkeys(SERIES, reason)}
    assert list(second) == ["eth0"]


@pytest.mark.parametrize(
    ("kernel", "shown"),
    [
        ("veth@if3", "veth@if3"),
        ("wg-ü", "wg-ü"),
        ("a.b", "a.b"),
        ("x=y", "x=y"),
        ("{", "{"),
        ("|", "|"),
        ("12", "12"),
        ("#3", "#3"),
        ("a\\b", "a\\b"),
        ("c\x1cd", "c\x1cd"),  # a line break for Python's text, not for the kernel
        ("l\u2028s", "l\u2028s"),
        ("a:b", "a:b"),  # permitted before Linux 4.15
        ("e\udc85f", "e\\x85f"),  # no UTF-8
    ],
)
def test_odd_names(net: Net, kernel: str, shown: str) -> None:
    """A name is whatever the kernel permits; bytes that are no UTF-8 are shown as such."""
    net.write({"eth0": FLAT, kernel: FLAT})
    mounted = net.mount(exclude=["eth0"])
    poll(mounted, 1)
    net.write({"eth0": FLAT, kernel: [107] * 16})

    actual = poll(mounted, 2)
    mounted.source.stop()

    assert {name: counted(cells) for name, cells in actual.items()} == {shown: [7] * 8}


# ----------------------------------------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize(
    ("counters", "reason"),
    [
        ("1 2 3", "/proc/net/dev has 3 counters for `eth1`, not 16"),
        (" ".join(["1"] * 17), "/proc/net/dev has 17 counters for `eth1`, not 16"),
        (
            "1 x " + " ".join(["1"] * 14),
            "/proc/net/dev has `x` as counter 2 of `eth1`, no number for system.network.packet.count",
        ),
        (
            "1 -2 " + " ".join(["1"] * 14),
            "/proc/net/dev has `-2` as counter 2 of `eth1`, no number for system.network.packet.count",
        ),
    ],
)
@pytest.mark.parametrize("since", ["always", "the third poll"])
def test_a_line_that_is_not_understood_is_missing(net: Net, counters: str, reason: str, since: str) -> None:
    """With what stands there, and never 0; the other interfaces go on, and so does this one when it is mended."""
    net.write({"eth0": FLAT, "eth1": FLAT})
    good = net.file.read_text()
    bad = "".join(good.splitlines(keepends=True)[:3]) + f"  eth1: {counters}\n"
    net.file.write_text(bad if since == "always" else good)
    mounted = net.mount()
    poll(mounted, 1)
    poll(mounted, 2)
    net.file.write_text(bad)

    cells = poll(mounted, 3)
    net.file.write_text(good)
    poll(mounted, 4)
    healed = poll(mounted, 5)
    mounted.source.stop()

    assert counted(cells["eth1"]) == [reason] * 8
    assert counted(cells["eth0"]) == [0] * 8
    assert counted(healed["eth1"]) == [0] * 8


def test_a_failed_poll_loses_nothing(net: Net) -> None:
    """A file that ends within a line, where a number may be cut, is read again; the next row covers both intervals."""
    net.write({"eth0": FLAT})
    mounted = net.mount()
    mounted.rows(1 * SECOND)
    net.file.write_text(net.file.read_text().rstrip("\n"))
    with pytest.raises(Retry):
        mounted.rows(2 * SECOND)
    mounted.readings.drop()
    net.write({"eth0": [105] * 16})

    [row] = mounted.rows(3 * SECOND)
    mounted.source.stop()

    assert (row.values[0], row.since) == (5, 1 * SECOND)


def test_it_can_be_started_again(net: Net) -> None:
    """After `stop` everything is closed, also what counts sockets."""
    net.write({"eth0": FLAT})
    for name in ("tcp", "tcp6", "udp", "udp6"):
        net.sockets(name, [])
    count = len(os.listdir("/proc/self/fd"))
    mounted = net.mount(connections=True)
    assert (
        len(os.listdir("/proc/self/fd")) == count + 6
    )  # that of interfaces, a socket to ask for their numbers, and four of sockets

    mounted.source.stop()

    assert len(os.listdir("/proc/self/fd")) == count


# --------------------------------------------------------------------------------------------------------- connections


def test_sockets_are_counted_by_state(net: Net) -> None:
    """Both versions of IP together; a state that no socket is in is 0; UDP has no states."""
    net.write({})
    net.sockets("tcp", ["0A", "01", "01", "0C"])  # a connection request is a SYN that was received
    net.sockets("tcp6", [*STATES, "01"])
    net.sockets("udp", ["07", "01"])
    net.sockets("udp6", ["07"])
    mounted = net.mount(connections=True)

    actual = connections(mounted, 1)
    mounted.source.stop()

    expected = dict.fromkeys(STATES.values(), 1) | {"established": 4, "listen": 2, "syn_received": 2, "udp": 3}
    assert actual == expected


def test_no_socket_is_0(net: Net) -> None:
    """Also without version 6 of IP."""
    net.write({})
    net.sockets("tcp", [])
    net.sockets("udp", [])
    mounted = net.mount(connections=True)

    assert connections(mounted, 1) == {**dict.fromkeys(STATES.values(), 0), "udp": 0}
    mounted.source.stop()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tcp", None, "there is no /proc/net/tcp"),
        ("tcp", "titles\nwhat is this\n", "/proc/net/tcp has a line that is no socket"),
        ("udp6", "titles\nwhat is this\n", "/proc/net/udp6 has a line that is no socket"),
        ("tcp6", "titles\n   0: 00", "/proc/net/tcp6 ends within a line"),
    ],
)
def test_sockets_that_cannot_be_counted_are_missing(net: Net, name: str, content: str | None, reason: str) -> None:
    """All of the transport, as a part of it would be too few; the other transport and the interfaces go on."""
    net.write({"eth0": FLAT})
    for each in ("tcp", "tcp6", "udp", "udp6"):
        net.sockets(each, ["07"])
    (net.proc / name).unlink()
    if content is not None:
        (net.proc / name).write_text(content)
    mounted = net.mount(connections=True)

    actual = connections(mounted, 1)
    traffic = poll(mounted, 2)
    mounted.source.stop()

    tcp = {state: actual[state] for state in STATES.values()}
    if name.startswith("tcp"):
        assert tcp == dict.fromkeys(STATES.values(), reason)
        assert actual["udp"] == 2
    else:
        assert tcp == dict.fromkeys(STATES.values(), 0) | {"closed": 2}
        assert actual["udp"] == reason
    assert counted(traffic["eth0"]) == [0] * 8


def test_sockets_are_counted_only_where_they_are_asked_for(net: Net, tmp_path: Path) -> None:
    """Neither read nor in the plan without the option."""
    net.write({})
    mounted = net.mount()
    assert connections(mounted, 1) == {}
    mounted.source.stop()

    plans = {
        asked: Backend("/net").add("network", connections=asked).add("csv", path=str(tmp_path / "x.csv")).check()
        for asked in (False, True)
    }
    assert {asked: any(each.metric == COUNT for each in plan.schema["csv"]) for asked, plan in plans.items()} == {
        False: False,
        True: True,
    }


# ---------------------------------------------------------------------------------------------------- the real machine


def real() -> dict[str, list[int]]:
    """The counters of each interface from /sys/class/net, in the order of SERIES."""
    found = {}
    for name in psutil.net_io_counters(pernic=True):
        folder = Path("/sys/class/net", name, "statistics")

        def number(*files: str, folder: Path = folder) -> int:
            return sum(int((folder / file).read_text()) for file in files)

        if folder.is_dir():
            found[name] = [
                number("rx_bytes"),
                number("tx_bytes"),
                number("rx_packets"),
                number("tx_packets"),
                number("rx_errors"),
                number("tx_errors"),
                number("rx_dropped", "rx_missed_errors"),
                number("tx_dropped"),
            ]
    return found


def send(count: int, size: int) -> None:
    """Datagrams over the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(("127.0.0.1", 0))
        for _ in range(count):
            sender.sendto(bytes(size), receiver.getsockname())


def test_the_real_machine_agrees_with_sysfs() -> None:
    """Each counter of each interface lies between what its own files say before and after."""
    mounted = Mounted("network", {"exclude": []})
    outer_first = real()
    poll(mounted, 1)
    inner_first = real()
    send(10, 1000)
    inner_last = real()
    actual = poll(mounted, 2)
    outer_last = real()
    mounted.source.stop()

    assert "lo" in actual
    for name in actual.keys() & outer_first.keys() & outer_last.keys():
        for nth, value in enumerate(counted(actual[name])):
            assert inner_last[name][nth] - inner_first[name][nth] <= value
            assert value <= outer_last[name][nth] - outer_first[name][nth]


def test_what_is_sent_over_the_loopback_is_found() -> None:
    """50 datagrams of 1000 bytes, each with 28 bytes of headers of UDP and IP, are received and sent there."""
    mounted = Mounted("network", {"include": ["lo"]})
    poll(mounted, 1)
    send(50, 1000)

    cells = poll(mounted, 2)["lo"]
    mounted.source.stop()

    for way in ("receive", "transmit"):
        assert cells["system.network.io", way] >= 50 * 1028
        assert cells["system.network.packet.count", way] >= 50


def test_the_real_machine_agrees_with_psutil() -> None:
    """Each delta of each interface lies between what psutil says before and after."""
    fields = ("bytes_recv", "bytes_sent", "packets_recv", "packets_sent", "errin", "errout", "dropin", "dropout")

    def read() -> dict[str, list[int]]:
        found = psutil.net_io_counters(pernic=True, nowrap=False)
        return {name: [getattr(each, field) for field in fields] for name, each in found.items()}

    mounted = Mounted("network", {"exclude": []})
    outer_first = read()
    poll(mounted, 1)
    inner_first = read()
    send(10, 1000)
    inner_last = read()
    actual = poll(mounted, 2)
    outer_last = read()
    mounted.source.stop()

    assert actual.keys() == outer_first.keys() == outer_last.keys()
    for name, cells in actual.items():
        for nth, value in enumerate(counted(cells)):
            assert inner_last[name][nth] - inner_first[name][nth] <= value
            assert value <= outer_last[name][nth] - outer_first[name][nth]


def ss() -> dict[str, int]:
    """Sockets by state of TCP, and of UDP, in the lists of the program ss."""
    names = {"ESTAB": "established", "SYN-SENT": "syn_sent", "SYN-RECV": "syn_received", "FIN-WAIT-1": "fin_wait_1"}
    names |= {"FIN-WAIT-2": "fin_wait_2", "TIME-WAIT": "time_wait", "UNCONN": "closed", "CLOSE-WAIT": "close_wait"}
    names |= {"LAST-ACK": "last_ack", "LISTEN": "listen", "CLOSING": "closing"}
    found = dict.fromkeys([*STATES.values(), "udp"], 0)
    for option in ("-tanH", "-uanH"):
        done = subprocess.run(["ss", option], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this ss does not list sockets: {done.stderr.strip()}")
        for line in done.stdout.splitlines():
            found["udp" if option == "-uanH" else names[line.split()[0]]] += 1
    return found


def psutil_sockets() -> dict[str, int]:
    """The same as psutil has it."""
    names = {"SYN_RECV": "syn_received", "FIN_WAIT1": "fin_wait_1", "FIN_WAIT2": "fin_wait_2", "CLOSE": "closed"}
    found = dict.fromkeys([*STATES.values(), "udp"], 0)
    for each in psutil.net_connections("inet"):
        state = "udp" if each.type == socket.SOCK_DGRAM else names.get(each.status, each.status.lower())
        found[state] += 1
    return found


@pytest.mark.parametrize(
    "read",
    [pytest.param(ss, marks=pytest.mark.skipif(shutil.which("ss") is None, reason="there is no ss")), psutil_sockets],
)
def test_the_real_machine_has_the_sockets_that_others_find(read: Callable[[], dict[str, int]]) -> None:
    """Each number, of every state, is what another program says before and after, once both say the same."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    datagram = socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    mounted = Mounted("network", {"connections": True})
    try:
        datagram.bind(("", 0))
        for nth in range(50):
            before, cells, after = read(), connections(mounted, nth), read()
            if before == after and min(before[state] for state in ("listen", "established", "udp")) > 0:
                assert cells == before
                break
        else:
            pytest.skip("sockets come and go all the time")
    finally:
        mounted.source.stop()
        for each in (listener, client, datagram):
            each.close()


def test_opened_sockets_are_found() -> None:
    """40 listeners, 30 connections with two ends each and 50 of UDP are counted where they were opened."""
    mounted = Mounted("network", {"connections": True})
    before = connections(mounted, 1)
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(40)]
    clients = [socket.create_connection(listeners[0].getsockname()) for _ in range(30)]
    datagrams = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
    for each in datagrams:
        each.bind(("127.0.0.1", 0))

    after = connections(mounted, 2)
    for each in (*listeners, *clients, *datagrams):
        each.close()
    mounted.source.stop()

    # Others may open and close some meanwhile; so many at once would be chance.
    assert after["listen"] - before["listen"] == pytest.approx(40, abs=20)
    assert after["established"] - before["established"] == pytest.approx(60, abs=20)
    assert after["udp"] - before["udp"] == pytest.approx(50, abs=20)


ANEW = """
import subprocess
from tests.fake import Mounted
def ip(*words): subprocess.run(["ip", *words], check=True)
ip("link", "set", "lo", "up")
ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
ip("link", "add", "w0", "type", "veth", "peer", "name", "w1")
mounted = Mounted("network", {"include": ["v0", "w0"]})
mounted.rows(1)
ip("link", "del", "v0")
ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
ip("link", "set", "w0", "name", "x0")
ip("link", "add", "w0", "type", "veth", "peer", "name", "w2")
[row] = mounted.rows(2)
print({getattr(value, "reason", value) for value in row.values})
[row] = mounted.rows(3)
print({getattr(value, "reason", value) for value in row.values})
"""


INSIDE = """
import json, sys
from tests.fake import Mounted
mounted = Mounted("network", {"exclude": []})
mounted.rows(1)
print(json.dumps(sorted({key.resource[1] for row in mounted.rows(2) for key in row.columns.keys})))
"""


def in_namespace(script: str, given: str = "") -> str:
    """What a program prints in a network namespace of its own."""
    own = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    done = subprocess.run(
        [*own, sys.executable, "-c", script],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    if done.returncode and ("unshare" in done.stderr or "'ip'" in done.stderr):
        pytest.skip(f"no network namespace can be made here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not (shutil.which("unshare") and shutil.which("ip")), reason="needs unshare and ip")
def test_interfaces_of_the_kernel_that_get_a_name_anew_are_others() -> None:
    """One that was removed, and one that was renamed: counters that did not fall are no deltas."""
    first, second = in_namespace(ANEW).splitlines()

    assert first == "{'the interface was removed or renamed, and another one has its name since'}"
    assert second == "{0}"


@pytest.mark.skipif(not (shutil.which("unshare") and shutil.which("ip")), reason="needs unshare and ip")
def test_a_namespace_of_its_own_with_many_interfaces() -> None:
    """The interfaces are those of the namespace in which meter runs, whatever they are called and however many."""
    names = sorted(["veth@if3", "wg-ü", "x=y{", "c\x1cd", *(f"q{nth}" for nth in range(60))])
    commands = [
        ["ip", "link", "add", name, "type", "veth", "peer", "name", f"p{nth}"] for nth, name in enumerate(names)
    ]
    script = "import json, subprocess, sys\nfor each in json.load(sys.stdin): subprocess.run(each, check=True)\n"
    done = in_namespace(script + INSIDE, json.dumps(commands))

    assert json.loads(done) == sorted(["lo", *names, *(f"p{nth}" for nth in range(len(names)))])
