"""A moment: what a mount file, its lock and the catalogue say, read once for all the mounts that a command handles."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked
from meter.contracts.claiming import another, clash
from meter.contracts.claims import Held
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.settings import setting
from meter.contracts.model import Source
from meter.contracts.mount_tables import remains
from meter.contracts.request import Request
from meter.core.lock_text import Made

Found = tuple[Catalogue, tuple[Diagnostic, ...]]
"""A catalogue, and what is wrong with folders of it."""


class Moment:
    """What there was when a command began, and what it has found out since.

    Args: `path` is that of the mount file; `document` is that of the lock; `discover` finds the contracts, where they
    are asked for. With `whole` all mounts of the file are handled, in the order of their names, and get along with
    those before them; else with those that the lock has of unchanged requests.
    """

    def __init__(
        self,
        read: tuple[str, Mapping[str, Request], list[Diagnostic]],
        path: str,
        document: dict[str, Any],
        discover: Callable[[], Found],
        *,
        whole: bool,
    ) -> None:
        self.text, self.requests, self.found = read
        self.path = path
        self.document = document
        self.made: list[Made] = []
        self._discover = discover
        self._whole = whole
        self._plans: dict[str, dict[str, Any]] = {}
        self._held = Held({}) if whole else None

    @cached_property
    def rest(self) -> dict[str, Request]:
        """What can be told of the mounts with which something is wrong, by mountpoint."""
        broken = any(each.level == "error" for each in self.found)
        return remains(tomllib.loads(self.text), Source(self.path, self.text)) if broken else {}

    @cached_property
    def catalogue(self) -> Found:
        """Every contract."""
        return self._discover()

    def entry(self, mountpoint: str) -> dict[str, Any] | None:
        """The lock's entry of a mountpoint."""
        entry: dict[str, Any] | None = self.document["mounts"].get(mountpoint)
        return entry

    @cached_property
    def _unchanged(self) -> dict[str, dict[str, Any]]:
        """The plans that the lock has of unchanged requests."""
        entries = self.document["mounts"]
        return {
            name: entries[name]["plan"]
            for name in entries
            if name in self.requests and entries[name]["request"] == self.requests[name].digest()
        }

    @property
    def held(self) -> Held:
        """What the other mounts claim."""
        if self._held is None:
            self._held = Held({**self._unchanged, **self._plans})
        return self._held

    def clashes(self, request: Request, plan: dict[str, Any]) -> list[Diagnostic]:
        """E-CLAIM for what a plan claims and another mount, too."""
        requests = self.requests
        met = self.held.first(request.mountpoint, plan)
        if met is None:
            return []
        first, second = met
        places = [requests.get(each[0], request).given_at(each[1], each[3]) for each in (first, second)]
        shown = [f"{each[1]} of {each[0]}" for each in (first, second)]
        given = requests.get(second[0], request).config.get(second[1], {}).get(second[3])
        other = another(given.raw[0] if given is not None and given.words else given and given.raw, second[2])
        settings = setting(requests.get(second[0], request), second[1], {second[3]: other}) if other is not None else ""
        return [clash((shown[0], first[2], places[0]), (shown[1], second[2], places[1]), "mounts", settings)]

    def note(self, mountpoint: str, plan: dict[str, Any]) -> None:
        """Note the plan of a mount that gets along with the others."""
        self._plans[mountpoint] = plan
        if self._whole:
            self.held.add(mountpoint, plan)
        else:
            self._held = None


class Once:
    """Diagnostics, each once, in the order in which they came."""

    def __init__(self, found: Iterable[Diagnostic] = ()) -> None:
        self.found: list[Diagnostic] = []
        self._by: dict[tuple[object, ...], list[Diagnostic]] = {}
        self.add(found)

    def add(self, found: Iterable[Diagnostic]) -> None:
        """Take in those that are not there; only such of one code and place are compared."""
        for diagnostic in found:
            near = self._by.setdefault((diagnostic.code, diagnostic.spans), [])
            if diagnostic not in near:
                near.append(diagnostic)
                self.found.append(diagnostic)


def all_wrong(
    found: Iterable[Diagnostic], rest: Request | None, check: Callable[[Request], Checked]
) -> list[Diagnostic]:
    """What is wrong with a request of which some words are none: that, and what a check says of the rest.

    One path for the words of a command and for a script, so that no fault hides another one.
    """
    return Once([*found, *(() if rest is None else check(rest).errors)]).found
