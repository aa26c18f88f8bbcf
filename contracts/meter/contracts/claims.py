"""Claims: what only one instance of all mounted backends can have, and when two of them meet.

A claim is a text `KIND:NAME`. Apart from the check and light, because a lock is asked, too, whether the backends that
it holds can run side by side.

Source: bind(2), ip(7), ipv6(7): an address of all interfaces takes the port of each of them, `[::]` also that of IPv4.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

_ANY: Final = frozenset({"", "*", "[::]", "::"})
_LOCAL: Final = {"localhost": "127.0.0.1"}
_PORTS: Final = frozenset({"tcp", "udp"})
_PATHS: Final = frozenset({"file", "unix"})


class Meeting(NamedTuple):
    """Two claims of different mounts that cannot both be had: mountpoint, instance, claim and option of each."""

    first: tuple[str, str, str, str]
    second: tuple[str, str, str, str]


def meet(one: str, other: str) -> bool:
    """Whether two claims cannot both be had.

    Ports meet where one address covers the other, port 0 never; paths meet where they are the same file by name, what
    lies in /dev never; anything else meets its equal.
    """
    (kind, name), (kind2, name2) = (_split(claim) for claim in (one, other))
    if kind in _PATHS and kind2 in _PATHS:
        paths = [posixpath.normpath(path) for path in (name, name2)]
        return paths[0] == paths[1] and not paths[0].startswith("/dev/")
    if kind != kind2:
        return False
    return _ports_meet(name, name2) if kind in _PORTS else name == name2


def meetings(plans: Mapping[str, Mapping[str, Any]]) -> Iterator[Meeting]:
    """The claims of different backends that meet; plans by mountpoint."""
    claims = [
        (mountpoint, row["instance"], row["claim"], row["option"])
        for mountpoint, plan in sorted(plans.items())
        for row in plan["claims"]
    ]
    for place, first in enumerate(claims):
        for second in claims[place + 1 :]:
            if first[0] != second[0] and meet(first[2], second[2]):
                yield Meeting(first, second)


def _split(claim: str) -> tuple[str, str]:
    kind, _, name = claim.partition(":")
    return kind, name


def _ports_meet(one: str, other: str) -> bool:
    (host, port), (host2, port2) = (_address(name) for name in (one, other))
    if port != port2 or port == "0":
        return False
    if host == host2 or host in _ANY or host2 in _ANY:
        return True
    # All interfaces of IPv4 take the port of each address but those of IPv6.
    return any(a == "0.0.0.0" and not b.startswith("[") for a, b in ((host, host2), (host2, host)))  # noqa: S104  compared, not bound


def _address(name: str) -> tuple[str, str]:
    """Host and port; a text without a colon is a port of all interfaces."""
    host, _, port = name.rpartition(":")
    return _LOCAL.get(host.lower(), host.lower()), port
