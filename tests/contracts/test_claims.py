"""Claims: what only one can have; compared with what the kernel refuses."""

import contextlib
import itertools
import socket

import pytest

from meter.contracts.claims import meet, meetings
from tests.contracts.build import codes, one, output, run, source

SERVER = output(
    "server",
    more='claims = ["tcp:${config.listen}"]\nconfig.listen = { type = "str", default = "127.0.0.1:9100" }\n',
)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("tcp:127.0.0.1:80", "tcp:127.0.0.1:80", True),
        ("tcp:127.0.0.1:80", "tcp:127.0.0.1:81", False),
        ("tcp:0.0.0.0:80", "tcp:127.0.0.1:80", True),
        ("tcp::80", "tcp:127.0.0.1:80", True),
        ("tcp:[::]:80", "tcp:127.0.0.1:80", True),
        ("tcp:[::1]:80", "tcp:127.0.0.1:80", False),
        ("tcp:0.0.0.0:80", "tcp:[::1]:80", False),
        ("tcp:localhost:80", "tcp:127.0.0.1:80", True),
        ("tcp:127.0.0.2:80", "tcp:127.0.0.1:80", False),
        ("tcp:127.0.0.1:0", "tcp:127.0.0.1:0", False),
        ("tcp:127.0.0.1:80", "udp:127.0.0.1:80", False),
        ("file:/a/b", "file:/a/./c/../b", True),
        ("file:/a/b", "unix:/a/b", True),
        ("file:/dev/null", "file:/dev/null", False),
        ("file:a.csv", "file:b.csv", False),
        ("gpu:0", "gpu:0", True),
        ("gpu:0", "gpu:1", False),
    ],
)
def test_meet(first: str, second: str, *, expected: bool) -> None:
    """In both orders."""
    assert meet(first, second) is expected
    assert meet(second, first) is expected


HOSTS = ("127.0.0.1", "127.0.0.2", "0.0.0.0", "[::1]", "[::]")


def can_both_listen(first: str, second: str) -> bool:
    """Whether the kernel lets two sockets listen on one port of these addresses."""
    with contextlib.ExitStack() as stack:
        port = 0
        for host in (first, second):
            family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
            listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            try:
                listener.bind((host.strip("[]"), port))
                listener.listen()
            except OSError:
                if not port:
                    pytest.skip(f"this host has no address {host}")
                return False
            port = listener.getsockname()[1]
        return True


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations_with_replacement(HOSTS, 2)))
def test_ports_meet_where_the_kernel_says_so(first: str, second: str) -> None:
    """Two listeners that the kernel refuses are claims that meet, and no others."""
    assert meet(f"tcp:{first}:9", f"tcp:{second}:9") is not can_both_listen(first, second)


def test_two_instances_with_one_port() -> None:
    """Refused, at the option that was given."""
    more = 'config.b.listen = "0.0.0.0:9100"'
    document = one(run("probe server server#b", source(), SERVER, more=more), "E-CLAIM")

    claims = "`b` claims `tcp:0.0.0.0:9100` and `server` claims `tcp:127.0.0.1:9100`"
    assert document["message"] == f"{claims}: only one can have it"
    assert document["notes"] == [
        "`0.0.0.0` stands for all addresses of IPv4 that this machine has, `127.0.0.1` among them"
    ]


@pytest.mark.parametrize(
    ("listen", "notes"),
    [
        ("127.0.0.1:9100", []),
        ("[::]:9100", ["`[::]` stands for all addresses of this machine, `127.0.0.1` among them"]),
        (":9100", ["a port without an address is that of all addresses of this machine, `127.0.0.1` among them"]),
    ],
)
def test_why_two_addresses_meet(listen: str, notes: list[str]) -> None:
    """Where they are not the same, the note says which of them stands for several."""
    more = f'config.b.listen = "{listen}"'
    assert one(run("probe server server#b", source(), SERVER, more=more), "E-CLAIM")["notes"] == notes


def test_two_instances_with_ports_of_their_own() -> None:
    """Are fine."""
    assert codes(run("probe server server#b", source(), SERVER, more='config.b.listen = "127.0.0.1:9101"')) == []


def test_only_different_mounts_meet() -> None:
    """What one backend claims twice is the check's business, not that of two plans."""
    plan = {"claims": [{"instance": label, "claim": "file:x", "option": "path"} for label in ("csv", "b")]}

    assert list(meetings({"/a": plan})) == []
    assert len(list(meetings({"/a": plan, "/b": plan}))) == 4
