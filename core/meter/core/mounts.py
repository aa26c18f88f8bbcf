"""Mounts: what `meter.toml` asks for and `meter.lock` has plans of, and which plan may run.

The cold path: whoever only reads a valid lock uses `meter.core.lock`. The mount file stays as it is; `mounting` changes
it.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import evolve

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked, check
from meter.contracts.diagnostics import MANY, ContractError, Diagnostic, diagnostic, listed, nearest
from meter.contracts.documents import LIMIT, parse_toml
from meter.contracts.editing.edits import clear, renamed
from meter.contracts.host import Host
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.request import Request
from meter.contracts.spans import COMMAND_LINE, Span
from meter.core import files, lock, lock_text, own_check
from meter.core.discovery import Shelf, discover
from meter.core.host import Beside, Probe
from meter.core.lock_text import Made
from meter.core.moment import Found, Moment, Once

if TYPE_CHECKING:
    from meter.core.drift import Locked


class Ready(NamedTuple):
    """A plan that may run, where its contracts lie, and warnings."""

    plan: dict[str, Any]
    contracts: dict[str, str]
    diagnostics: tuple[Diagnostic, ...]
    rewritten: str = ""
    """The mountpoint where the plan was checked anew, empty where the lock held."""
    completed: tuple[str, ...] = ()
    """What the own code of plugins has completed, in a sentence for each option."""


class Mounts:
    """One mount file with its lock.

    Args: `host` answers in the place of this host; then no lock is taken for an answer and none is written. `shelf` has
    the contracts, should several mount files share them, in place of `plugin_dirs`.
    """

    def __init__(
        self,
        path: str,
        *,
        plugin_dirs: Sequence[str] = (),
        sysroot: str | None = None,
        host: Host | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.path = path
        self.lock_path = lock.lock_path(path)
        self.folder = os.path.dirname(os.path.abspath(path))
        self.plugin_dirs = tuple(plugin_dirs)
        self.shelf = shelf
        self.sysroot = sysroot
        self.host = host

    # ------------------------------------------------------------------------------------------------------- reading

    def read(self, *, missing_is_empty: bool = False) -> tuple[str, dict[str, Request], list[Diagnostic]]:
        """The text of the mount file, its requests and what is wrong with others.

        Raises: ContractError (E-FILE), it cannot be read or is no TOML.
        """
        try:
            with open(self.path, "rb") as file:
                data = file.read(LIMIT + 1)
        except FileNotFoundError as error:
            if missing_is_empty:
                return "", {}, []
            raise ContractError([files.fault(self.path, error, "missing")]) from error
        except OSError as error:
            raise ContractError([files.fault(self.path, error, "mounts")]) from error
        parsed = parse_toml(data, self.path)
        if isinstance(parsed, Diagnostic):
            raise ContractError([parsed])
        document, text = parsed
        requests, found = from_document(document, Source(self.path, text))
        return text, requests, found

    def lock(self) -> dict[str, Any]:
        """The lock's document; an empty one where it is missing or broken, since it can be made anew."""
        try:
            return lock.read(self.lock_path)
        except lock.LockError:
            return lock.empty()

    def entry(self, mountpoint: str) -> dict[str, Any] | None:
        """The lock's entry of a mountpoint."""
        entry: dict[str, Any] | None = self.lock()["mounts"].get(mountpoint)
        return entry

    def unknown(self, mountpoint: str, mounted: Sequence[str], span: Span) -> Diagnostic:
        """E-MOUNT-UNKNOWN."""
        facts = {"near": nearest(mountpoint, mounted), "mounted": listed(mounted), "path": self.path}
        unknown = diagnostic("E-MOUNT-UNKNOWN", span, "" if mounted else "none", mountpoint=mountpoint, **facts)
        meant = clear(mountpoint, mounted) if span.file == COMMAND_LINE else ""
        return evolve(unknown, edit=renamed(span, mountpoint, meant)) if meant else unknown

    # ------------------------------------------------------------------------------------------------------ checking

    def catalogue(self, document: Mapping[str, Any] | None = None) -> Found:
        """Every contract: built-in, of the plugin folders, installed, and those that the lock knows.

        Args: `document`, that of the lock, where it was read before.
        """
        entries = (self.lock() if document is None else document)["mounts"]
        known = [stamped[0] for entry in entries.values() for stamped in entry["files"].values()]
        return discover(self.plugin_dirs, known) if self.shelf is None else self.shelf.read(known)

    def probe(self) -> Probe:
        """The host as this file's mounts see it."""
        return Probe(self.folder, self.sysroot)

    def check(self, request: Request, catalogue: Catalogue) -> tuple[Checked, Probe]:
        """Check one request against the host."""
        probe = self.probe()
        host = probe if self.host is None else Beside(self.host, probe)
        return check(request, catalogue, host), probe

    def checking(self, catalogue: Catalogue, probes: list[Probe]) -> Callable[[Request], Checked]:
        """What checks a request as often as somebody likes; who answered for the host each time goes to `probes`."""

        def check(request: Request) -> Checked:
            checked, probe = self.check(request, catalogue)
            probes.append(probe)
            return checked

        return check

    def moment(self, *, whole: bool = False) -> Moment:
        """What the file and its lock say now, and the catalogue, for several mounts; `whole`, for all of the file.

        Raises: ContractError (E-FILE), the mount file cannot be read or is no TOML.
        """
        read, document = self.read(), self.lock()
        return Moment(read, self.path, document, lambda: self.catalogue(document), whole=whole)

    def resolve(
        self,
        mountpoint: str,
        *,
        locked: bool = False,
        record: bool = True,
        span: Span | None = None,
        moment: Moment | None = None,
    ) -> tuple[Ready | None, list[Diagnostic]]:
        """The plan of a mounted backend: the locked one where it holds, else a new one, else why not.

        Args: `mountpoint` in its one spelling, as all mountpoints here that are not said to be typed. Who resolves
        several mounts does it at one `moment`, and records what that has `made`.

        A plugin that is new in the catalogue never changes a mounted backend: an unchanged request is checked
        against the plugins of its plan.
        """
        now = moment or self.moment()
        ready, found = self._resolve(mountpoint, now, locked=locked, span=span)
        if ready is not None:
            now.note(mountpoint, ready.plan)
        if moment is None and record:
            self.record(now.made, locked=locked)
        return ready, found

    def _resolve(
        self, mountpoint: str, now: Moment, *, locked: bool, span: Span | None
    ) -> tuple[Ready | None, list[Diagnostic]]:
        if mountpoint not in now.requests:
            wrong = self.refused(mountpoint, now.text, now.found, span or Span(self.path, 1, 1))
            return None, [*wrong, *self.besides(mountpoint, now)]
        request = now.requests[mountpoint]
        entry = now.entry(mountpoint)
        same_request = entry is not None and entry["request"] == request.digest()
        if entry is not None and same_request and self.host is None:
            why = lock.stale(entry, folder=self.folder, sysroot=self.sysroot)
            if not why:
                clashes = now.clashes(request, entry["plan"])
                return (None, clashes) if clashes else (Ready(entry["plan"], lock.contracts_of(entry), ()), [])
        if locked:
            variant = "" if entry is None else "changed"
            if not same_request:
                path = self.lock_path
                return None, [diagnostic("E-LOCK-STALE", request.span, variant, mountpoint=mountpoint, lock=path)]
        catalogue, problems = now.catalogue
        if entry is not None and same_request:
            names = {plugin["plugin"] for plugin in entry["plan"]["plugins"]}
            catalogue = catalogue.only(names.union(entry["plan"]["considered"]))
        known = None
        if entry is not None:
            from meter.core import drift  # the language of replacements: what is checked for the first time needs none

            known = drift.Locked(request, entry, now.document, self.lock_path)
        checked, probe, notes = self.anew(request, known if same_request else None, catalogue)
        if known is not None and same_request and (drifted := drift.sent_otherwise(known, probe.facts)):
            return None, drifted
        found = [*problems, *([] if checked is None else checked.diagnostics), *notes]
        if checked is None or checked.plan is None:
            return None, found if checked else notes
        if clashes := now.clashes(request, checked.plan.document):
            return None, [*found, *clashes]
        if known is not None and same_request:
            own_check.remembered(checked.plan.document, known.plan)
        elif known is not None:
            notes += drift.forgotten(known, checked.plan.document)
        told = (*checked.diagnostics, *notes)
        ready = Ready(checked.plan.document, lock_text.paths_of(checked, catalogue), told, rewritten=mountpoint)
        now.made.append(Made(request, checked, catalogue, probe))
        return ready, [*problems, *told]

    def anew(
        self, request: Request, known: Locked | None, catalogue: Catalogue
    ) -> tuple[Checked | None, Probe, list[Diagnostic]]:
        """A check, who answered for the host, and notes; none, and why, where contracts have drifted too far.

        Args: `known` is the backend as the lock has it of the same request.
        """
        if known is None:
            return *self.check(request, catalogue), []
        from meter.core import drift  # as above

        probe = self.probe()
        differing = drift.differences(known, catalogue, self.host or probe)
        if not differing:
            return *self.check(request, catalogue), []
        if drift.refused(differing):
            return None, probe, drift.said(known, differing)
        first, probe = self.check(request, catalogue)
        probes = [probe]
        checked = drift.held(known, first, self.checking(catalogue, probes))
        if checked is not None:
            return checked, probes[-1], drift.noted(known, differing)
        if first.plan is None:
            why = [each.message for each in first.diagnostics if each.level == "error"]
            return None, probe, drift.said(known, differing, "check", why)
        return None, probe, drift.said(known, differing, "order")

    def refused(self, mountpoint: str, text: str, found: list[Diagnostic], span: Span) -> list[Diagnostic]:
        """Why there is no request of that mountpoint: what is wrong with it, else E-MOUNT-UNKNOWN."""
        mounted = mounted_in(text)
        if mountpoint not in mounted:
            broken = [diagnostic for diagnostic in found if diagnostic.clause == "mounts"]
            return broken or [self.unknown(mountpoint, sorted(mounted), span)]
        return from_document({"mounts": {mountpoint: mounted[mountpoint]}}, Source(self.path, text))[1]

    def besides(self, mountpoint: str, now: Moment) -> list[Diagnostic]:
        """What else is wrong with a mount of which there is no request, by what can be told of it."""
        rest = now.rest.get(mountpoint)
        if rest is None:
            return []
        return self.check(rest, now.catalogue[0])[0].errors

    def ready(self, mountpoints: Sequence[str], *, locked: bool = False, spans: Sequence[Span] = ()) -> list[Ready]:
        """The plans of some mountpoints, of all where none is named; `spans` say where each was named.

        Raises: ContractError with what is wrong with any of them.
        """
        now = self.moment(whole=not mountpoints)
        wrong = Once(each for each in now.found if each.level == "error" and not mountpoints)
        for name in () if mountpoints else islice(now.rest, MANY):
            wrong.add(self.besides(name, now))
        names = list(mountpoints) or sorted(now.requests)
        if not names and not wrong.found:
            wrong.add([diagnostic("E-FILE", Span(self.path, 1, 1), "empty", path=self.path)])
        out: list[Ready] = []
        places = dict(zip(mountpoints, spans, strict=False))
        for name in names:
            one, diagnostics = self.resolve(name, locked=locked, span=places.get(name), moment=now)
            if one is None:
                wrong.add(diagnostics)
            else:
                out.append(one)
        self.record(now.made, locked=locked)
        if wrong.found:
            raise ContractError(wrong.found)
        return out

    def check_all(
        self, mountpoint: str | None, *, locked: bool = False, span: Span | None = None
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Check one mountpoint or all; writes nothing. Plans of those that are sound, and diagnostics as JSON.

        Raises: ContractError, the mount file cannot be read.
        """
        now = self.moment(whole=mountpoint is None)
        found = Once(now.found if mountpoint is None else ())
        for name in islice(now.rest, MANY) if mountpoint is None else ():
            found.add(self.besides(name, now))
        plans: list[dict[str, Any]] = []
        for name in [mountpoint] if mountpoint is not None else sorted(now.requests):
            one, diagnostics = self.resolve(name, locked=locked, span=span, moment=now)
            found.add(diagnostics)
            if one is not None:
                plans.append(one.plan)
        return plans, [diagnostic.to_json() for diagnostic in sorted(found.found, key=Diagnostic.order)]

    def overview(self) -> list[dict[str, Any]]:
        """What is mounted: mountpoint, plugins as asked, and whether the lock holds a plan of it. Checks nothing.

        Raises: ContractError, the mount file is there and cannot be read.
        """
        text, requests, found = self.read(missing_is_empty=True)
        if not isinstance(tomllib.loads(text).get("mounts", {}), dict):
            raise ContractError(found)
        rows = []
        entries = self.lock()["mounts"]
        for mountpoint, body in sorted(mounted_in(text).items()):
            request, entry = requests.get(mountpoint), entries.get(mountpoint)
            if request is None:
                state = "malformed"
            elif entry is None:
                state = "unchecked"
            elif entry["request"] != request.digest():
                state = "changed"
            else:
                state = "changed" if lock.stale(entry, folder=self.folder, sysroot=self.sysroot) else "checked"
            asked = body.get("plugins") if isinstance(body, dict) else None
            plugins = asked if isinstance(asked, list) else []
            rows.append({"mountpoint": mountpoint, "state": state, "plugins": [str(word) for word in plugins]})
        return rows

    def record(self, made: Sequence[Made], *, locked: bool = False) -> None:
        """Put plans into the lock; one that cannot be written is no fault, it is only made anew each time."""
        if made and not locked and self.host is None:
            with contextlib.suppress(OSError), files.guard(self.folder):
                files.write_together(self._recorded(made, self._data()))

    def _recorded(self, made: Iterable[Made], data: bytes) -> dict[str, bytes]:
        return {self.lock_path: lock_text.recorded(self.lock(), made, data)}

    def _data(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()


def mounted_in(text: str) -> dict[str, Any]:
    """The table `mounts` of a mount file that was parsed before."""
    mounts = tomllib.loads(text).get("mounts", {})
    return mounts if isinstance(mounts, dict) else {}
