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
_WIDE: Final = _ANY | {"0.0.0.0"}  # noqa: S104  compared, not bound
"""Addresses that stand for several."""
_LOCAL: Final = {"localhost": "127.0.0.1"}
PORTS: Final = frozenset({"tcp", "udp"})
"""The kinds of claims whose names end in a port."""
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
    return _ports_meet(name, name2) if kind in PORTS else name == name2


class Taken:
    """Claims in the order in which they were taken, found by what could meet them."""

    def __init__(self) -> None:
        self._claims: list[str] = []
        self._by: dict[tuple[str, str], list[int]] = {}
        """Places by kind and name; ports also by the port alone, and those of several addresses apart."""

    def add(self, claim: str) -> None:
        """Take a claim."""
        for key in _keys(claim):
            self._by.setdefault(key, []).append(len(self._claims))
        self._claims.append(claim)

    def meeting(self, claim: str) -> Iterator[int]:
        """The places of those that a claim meets, the first one first."""
        near = {place for key in _near(claim) for place in self._by.get(key, ())}
        return (place for place in sorted(near) if meet(self._claims[place], claim))


def _keys(claim: str) -> Iterator[tuple[str, str]]:
    """Under what a claim is found."""
    kind, name = _split(claim)
    if kind in _PATHS:
        yield "path", posixpath.normpath(name)
    elif kind in PORTS:
        host, port = _address(name)
        yield kind, port
        yield kind, f"*:{port}" if host in _WIDE else f"{host}:{port}"
    else:
        yield kind, name


def _near(claim: str) -> Iterator[tuple[str, str]]:
    """Under what those are found that a claim could meet; what lies in /dev, and port 0, meets nothing."""
    kind, name = _split(claim)
    if kind in _PATHS:
        path = posixpath.normpath(name)
        if not path.startswith("/dev/"):
            yield "path", path
    elif kind in PORTS:
        host, port = _address(name)
        if port != "0":
            yield from [(kind, port)] if host in _WIDE else [(kind, f"{host}:{port}"), (kind, f"*:{port}")]
    else:
        yield kind, name


def meetings(plans: Mapping[str, Mapping[str, Any]]) -> Iterator[Meeting]:
    """The claims of different backends that meet; plans by mountpoint."""
    claims = [
        (mountpoint, row["instance"], row["claim"], row["option"])
        for mountpoint, plan in sorted(plans.items())
        for row in plan["claims"]
    ]
    taken = Taken()
    found = []
    for place, second in enumerate(claims):
        found += [(at, place) for at in taken.meeting(second[2]) if claims[at][0] != second[0]]
        taken.add(second[2])
    for first, then in sorted(found):
        yield Meeting(claims[first], claims[then])


class Held:
    """What backends claim; plans by mountpoint."""

    def __init__(self, plans: Mapping[str, Mapping[str, Any]]) -> None:
        self._rows: list[tuple[str, str, str, str]] = []
        self._taken = Taken()
        for mountpoint, plan in sorted(plans.items()):
            self.add(mountpoint, plan)

    def add(self, mountpoint: str, plan: Mapping[str, Any]) -> None:
        """Take in what a backend claims, one behind the others by its mountpoint."""
        for row in plan["claims"]:
            self._rows.append((mountpoint, row["instance"], row["claim"], row["option"]))
            self._taken.add(row["claim"])

    def first(self, mountpoint: str, plan: Mapping[str, Any]) -> Meeting | None:
        """The first claim of another backend that meets one of this backend's, which is the second of the two."""
        found = []
        for nth, row in enumerate(plan["claims"]):
            for place in self._taken.meeting(row["claim"]):
                other = self._rows[place][0]
                if other != mountpoint:
                    found.append((False, place, nth) if other < mountpoint else (True, nth, place))
        if not found:
            return None
        behind, one, two = min(found)
        place, nth = (two, one) if behind else (one, two)
        mine = plan["claims"][nth]
        return Meeting(self._rows[place], (mountpoint, mine["instance"], mine["claim"], mine["option"]))


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


def covers(one: str, other: str) -> tuple[str, str] | None:
    """The addresses of two claims of one port that meet: the one that covers the other, and that; None where equal."""
    (kind, name), (_, name2) = _split(one), _split(other)
    if kind not in PORTS or _address(name) == _address(name2):
        return None
    hosts = [each.rpartition(":")[0] for each in (name, name2)]
    wide = next((host for family in ({""}, _ANY, _WIDE) for host in hosts if host in family), None)
    return None if wide is None else (wide, hosts[1 - hosts.index(wide)])


def _address(name: str) -> tuple[str, str]:
    """Host and port; a text without a colon is a port of all interfaces."""
    host, _, port = name.rpartition(":")
    return _LOCAL.get(host.lower(), host.lower()), port
