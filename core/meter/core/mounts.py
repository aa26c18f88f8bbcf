"""Mounts: `meter.toml` with its requests, `meter.lock` with their plans, and what may change either.

The cold path: whoever only reads a valid lock uses `meter.core.lock`. Every change is written whole or not at all, and
none of it needs a mounted plugin to be there.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from attrs import evolve

from meter.contracts import claims, keynames, options
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked, check
from meter.contracts.claiming import another, clash
from meter.contracts.diagnostics import MANY, ContractError, Diagnostic, listed, nearest
from meter.contracts.documents import LIMIT, parse_toml
from meter.contracts.editing.edits import clear, renamed
from meter.contracts.editing.settings import setting
from meter.contracts.host import DIGEST, SCHEMA, Host
from meter.contracts.model import Contract, Source
from meter.contracts.replacement.records import record
from meter.contracts.request import NONE, Asks, Request, check_mountpoint, from_document, from_words, rest_of_words
from meter.contracts.spans import COMMAND_LINE, Span, Words
from meter.core import drift, files, lock
from meter.core.completed import remembered
from meter.core.discovery import Shelf, discover
from meter.core.host import Beside, Probe
from meter.core.moment import Found, Made, Moment, Once, all_wrong
from meter.core.mount_text import over, with_mount, with_options, without_mount
from meter.core.own_check import EXPORT


class Ready(NamedTuple):
    """A plan that may run, where its contracts lie, and warnings."""

    plan: dict[str, Any]
    contracts: dict[str, str]
    diagnostics: tuple[Diagnostic, ...]
    rewritten: str = ""
    """The mountpoint where the plan was checked anew, empty where the lock held."""
    completed: tuple[str, ...] = ()
    """What the own code of plugins has completed, in a sentence for each option."""


def _fault(code: str, span: Span, variant: str = "", **facts: str) -> Diagnostic:
    return Diagnostic(code=code, facts=facts, spans=(span,), variant=variant)


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
            return lock.read(lock.lock_path(self.path))
        except lock.LockError:
            return lock.empty()

    def entry(self, mountpoint: str) -> dict[str, Any] | None:
        """The lock's entry of a mountpoint."""
        entry: dict[str, Any] | None = self.lock()["mounts"].get(mountpoint)
        return entry

    def unknown(self, mountpoint: str, mounted: Sequence[str], span: Span) -> Diagnostic:
        """E-MOUNT-UNKNOWN."""
        facts = {"near": nearest(mountpoint, mounted), "mounted": listed(mounted), "path": self.path}
        fault = _fault("E-MOUNT-UNKNOWN", span, "" if mounted else "none", mountpoint=mountpoint, **facts)
        meant = clear(mountpoint, mounted) if span.file == COMMAND_LINE else ""
        return evolve(fault, edit=renamed(span, mountpoint, meant)) if meant else fault

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
                clashes = _clashes(request, entry["plan"], now.requests, now.held)
                return (None, clashes) if clashes else (Ready(entry["plan"], lock.contracts_of(entry), ()), [])
        if locked:
            variant = "" if entry is None else "changed"
            if not same_request:
                path = lock.lock_path(self.path)
                return None, [_fault("E-LOCK-STALE", request.span, variant, mountpoint=mountpoint, lock=path)]
        catalogue, problems = now.catalogue
        if entry is not None and same_request:
            names = {plugin["plugin"] for plugin in entry["plan"]["plugins"]}
            catalogue = catalogue.only(names.union(entry["plan"]["considered"]))
        known = None if entry is None else drift.Mounted(request, entry, now.document, lock.lock_path(self.path))
        checked, probe, notes = self.anew(request, known if same_request else None, catalogue)
        if entry is not None and same_request and (drifted := self.sent_otherwise(request, entry, probe)):
            return None, drifted
        found = [*problems, *([] if checked is None else checked.diagnostics), *notes]
        if checked is None or checked.plan is None:
            return None, found if checked else notes
        if clashes := _clashes(request, checked.plan.document, now.requests, now.held):
            return None, [*found, *clashes]
        if known is not None and same_request:
            remembered(checked.plan.document, known.plan)
        elif known is not None:
            notes += drift.forgotten(known, checked.plan.document)
        told = (*checked.diagnostics, *notes)
        ready = Ready(checked.plan.document, paths_of(checked, catalogue), told, rewritten=mountpoint)
        now.made.append(Made(request, checked, catalogue, probe))
        return ready, [*problems, *told]

    def anew(
        self, request: Request, known: drift.Mounted | None, catalogue: Catalogue
    ) -> tuple[Checked | None, Probe, list[Diagnostic]]:
        """A check, who answered for the host, and notes; none, and why, where contracts have drifted too far.

        Args: `known` is the backend as the lock has it of the same request.
        """
        probe = self.probe()
        differing = [] if known is None else drift.differences(known, catalogue, self.host or probe)
        if known is None or not differing:
            return *self.check(request, catalogue), []
        if drift.refused(differing):
            return None, probe, drift.said(known, differing)
        first, probe = self.check(request, catalogue)
        probes = [probe]

        def again(request: Request) -> Checked:
            checked, probe = self.check(request, catalogue)
            probes.append(probe)
            return checked

        checked = drift.held(known, first, again)
        if checked is not None:
            return checked, probes[-1], drift.noted(known, differing)
        if first.plan is None:
            why = [each.message for each in first.diagnostics if each.level == "error"]
            return None, probe, drift.said(known, differing, "check", why)
        return None, probe, drift.said(known, differing, "order")

    def clashes(self, request: Request, plan: dict[str, Any], requests: Mapping[str, Request]) -> list[Diagnostic]:
        """E-CLAIM for what a plan claims and another mount claims too, as the lock has it of unchanged requests."""
        now = Moment(("", requests, []), self.path, self.lock(), self.catalogue, whole=False)
        return _clashes(request, plan, requests, now.held)

    def refused(self, mountpoint: str, text: str, found: list[Diagnostic], span: Span) -> list[Diagnostic]:
        """Why there is no request of that mountpoint: what is wrong with it, else E-MOUNT-UNKNOWN."""
        mounted = _mounted(text)
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
            wrong.add([_fault("E-FILE", Span(self.path, 1, 1), "empty", path=self.path)])
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
        for mountpoint, body in sorted(_mounted(text).items()):
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

    @staticmethod
    def sent_otherwise(request: Request, entry: dict[str, Any], probe: Probe) -> list[Diagnostic]:
        """E-DRIFT for each plan file of another meter that says something else than at the mount."""
        before = {(kind, argument): answer for kind, argument, answer in entry["facts"]}
        changed = {
            argument
            for (kind, argument), answer in sorted(probe.facts.items())
            if kind == SCHEMA and answer.startswith(DIGEST) and before.get((kind, argument), answer) != answer
        }
        found = []
        for plugin in entry["plan"]["plugins"]:
            for name, type_ in plugin["types"].items():
                reference = plugin["config"][name]
                if type_ == "schema" and reference in changed:
                    span = _place_of(request, plugin["instance"], name)
                    facts = {"plugin": plugin["plugin"], "mountpoint": request.mountpoint, "path": reference}
                    found.append(_fault("E-DRIFT", span, "schema", **facts))
        return found

    def record(self, made: Sequence[Made], *, locked: bool = False) -> None:
        """Put plans into the lock; one that cannot be written is no fault, it is only made anew each time."""
        if made and not locked and self.host is None:
            with contextlib.suppress(OSError), files.guard(self.folder):
                files.write_together(self._lock_files(made, self._data()))

    def _data(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()

    def _lock_files(self, made: Iterable[Made], data: bytes) -> dict[str, bytes]:
        document = self.lock()
        for request, checked, catalogue, probe in made:
            assert checked.plan is not None
            shown = [d.to_json() for d in checked.diagnostics]
            paths = paths_of(checked, catalogue)
            entry = lock.make_entry(checked.plan.document, request.digest(), paths, probe, shown)
            document["mounts"][request.mountpoint] = entry
            document["contracts"] |= {contract.digest: record(contract) for contract in _used(paths, catalogue)}
        return {lock.lock_path(self.path): lock.dump(self._whole(document, data))}

    @staticmethod
    def _whole(document: dict[str, Any], data: bytes) -> dict[str, Any]:
        """The lock names the bytes of the file only when each of the file's mounts is in it as it is written there."""
        parsed = tomllib.loads(data.decode())
        requests, found = from_document(parsed, Source("", data.decode()))
        mounts = {name: e for name, e in document["mounts"].items() if name in parsed.get("mounts", {})}
        current = not found and all(
            name in mounts and mounts[name]["request"] == request.digest() for name, request in requests.items()
        )
        said = lock.digest(data) if current else ""
        kept = lock.used(mounts, document["contracts"])
        return {"format": lock.FORMAT, "file": said, "mounts": mounts, "contracts": kept}

    # ------------------------------------------------------------------------------------------------------ changing

    def mount(self, mountpoint: str, words: Sequence[str], before: Sequence[str], asks: Asks = NONE) -> Ready:
        """Build and record the backend that some words of a command line ask for.

        Args: `mountpoint` as typed: `//a/./b/` is `/a/b`; `asks` as for `meter.contracts.request.from_words`.

        Raises: ContractError; nothing was changed then.
        """
        mountpoint = keynames.tidy(mountpoint)
        with files.guarded(self.folder):
            text, requests = self._readable()
            line = Words([*before, *words])
            if mountpoint in requests or mountpoint in _mounted(text):
                raise ContractError([_fault("E-MOUNT-TAKEN", line.span(len(before) - 1), mountpoint=mountpoint)])
            request, found = from_words(mountpoint, words, before, asks)
            if request is None:
                rest = rest_of_words(mountpoint, words, before, asks)
                raise ContractError(all_wrong(found, rest, lambda rest: self.check(rest, self.catalogue()[0])[0]))
            return self._add(text, request, None)

    def record_request(self, request: Request, body: Mapping[str, Any]) -> Ready:
        """Build and record the backend of a request; one that is mounted just so is made ready as by `resolve`.

        Args: `body` is the request as the mount file will have it.

        Raises: ContractError; nothing was changed then.
        """
        mountpoint = request.mountpoint
        with files.guarded(self.folder):
            text, requests = self._readable()
            known = requests.get(mountpoint)
            if known is None and mountpoint not in _mounted(text):
                return self._add(text, request, body)
            if known is not None and known.digest() != request.digest():
                catalogue, problems = self.catalogue()
                request = self.completed(request, catalogue, problems)[0]  # as it was when it was mounted
        if known is None or known.digest() != request.digest():
            raise ContractError([_fault("E-MOUNT-TAKEN", request.span, mountpoint=mountpoint)])
        ready, found = self.resolve(mountpoint)
        if ready is None:
            raise ContractError(found)
        return ready

    def _readable(self) -> tuple[str, dict[str, Request]]:
        """Text and requests of the mount file; both are empty where there is none.

        Raises: ContractError, it cannot be read, or nothing can be added to what stands there.
        """
        text, requests, found = self.read(missing_is_empty=True)
        if [d for d in found if d.code == "E-CLAUSE-TYPE" and d.clause == "mounts"]:
            raise ContractError(found)
        return text, requests

    def _add(self, text: str, request: Request, body: Mapping[str, Any] | None) -> Ready:
        """Check a request and write it behind a mount file's text; without `body` as its words say.

        Raises: ContractError; nothing was changed then.
        """
        catalogue, problems = self.catalogue()
        request, checked, probe, values = self.completed(request, catalogue, problems)
        assert checked.plan is not None
        written = _body(request, catalogue, checked) if body is None else over(body, values)
        try:
            changed = with_mount(text, request.mountpoint, written, values).encode()
        except UnicodeEncodeError as error:
            facts = {"word": str(error.object)[error.start : error.end]}
            raise ContractError([_fault("E-OPTION", request.span, "not-utf8", **facts)]) from None
        _, again, _ = self._parsed(changed)
        if clashes := self.clashes(request, checked.plan.document, again):
            raise ContractError([*problems, *checked.diagnostics, *clashes])
        texts = {self.path: changed}
        if self.host is None:
            mounted = again[request.mountpoint]
            # What is to be said of it from now on stands in the file, and not in a command line or script.
            shown = self.check(mounted, catalogue)[0] if checked.diagnostics else checked
            texts |= self._lock_files([Made(mounted, shown, catalogue, probe)], changed)
        self._write(texts)
        contracts = paths_of(checked, catalogue)
        return Ready(checked.plan.document, contracts, (*problems, *checked.diagnostics), completed=_told(values))

    def completed(
        self, request: Request, catalogue: Catalogue, problems: Sequence[Diagnostic]
    ) -> tuple[Request, Checked, Probe, Mapping[str, Mapping[str, Any]]]:
        """Check a request, and let the own code of trusted plugins complete it; with what was completed.

        Raises: ContractError, the check or a plugin's own code refuses it; `problems` are said then, too.
        """
        checked, probe = self.check(request, catalogue)
        if checked.plan is None:
            raise ContractError([*problems, *checked.diagnostics])
        if not any(EXPORT in plugin["exports"] for plugin in checked.plan.document["plugins"]):
            return request, checked, probe, {}
        from meter.core.completing import complete  # the engine, which few mounts need

        probes = [probe]

        def again(request: Request) -> Checked:
            checked, probe = self.check(request, catalogue)
            probes.append(probe)
            return checked

        found = complete(request, catalogue, checked, again)
        return found.request, found.checked, probes[-1], found.values

    def refresh(self, mountpoint: str, span: Span) -> Ready:
        """Check a mounted backend anew and record its plan: a new contract is accepted.

        Args: `mountpoint` as typed.

        Raises: ContractError; nothing was changed then.
        """
        mountpoint = keynames.tidy(mountpoint)
        with files.guarded(self.folder):
            text, requests, found = self.read()
            request = requests.get(mountpoint)
            if request is None:
                fault = check_mountpoint(mountpoint, span)
                raise ContractError([fault] if fault else self.refused(mountpoint, text, found, span))
            catalogue, problems = self.catalogue()
            entry = self.entry(mountpoint)
            known = None if entry is None else drift.Mounted(request, entry, self.lock(), lock.lock_path(self.path))
            before = entry["plan"] if entry is not None and entry["request"] == request.digest() else None
            request, checked, probe, values = self.completed(request, catalogue, problems)
            assert checked.plan is not None
            if clashes := self.clashes(request, checked.plan.document, requests):
                raise ContractError([*problems, *checked.diagnostics, *clashes])
            if before is not None:
                remembered(checked.plan.document, before)
            lost = [] if known is None else drift.forgotten(known, checked.plan.document)
            data = self._data()
            texts: dict[str, bytes] = {}
            if values:
                data = with_options(data.decode(), mountpoint, values).encode()
                texts = {self.path: data}
                request = self._parsed(data)[1][mountpoint]
            self._write(texts | self._lock_files([Made(request, checked, catalogue, probe)], data))
            told = (*problems, *checked.diagnostics, *lost)
            return Ready(checked.plan.document, paths_of(checked, catalogue), told, completed=_told(values))

    def umount(self, mountpoint: str, span: Span) -> None:
        """Take a backend out of the mount file and its plan out of the lock.

        Args: `mountpoint` as typed.

        Raises: ContractError; nothing was changed then.
        """
        mountpoint = keynames.tidy(mountpoint)
        with files.guarded(self.folder):
            text, _, _ = self.read()
            if mountpoint not in _mounted(text):
                raise ContractError([self.unknown(mountpoint, sorted(_mounted(text)), span)])
            changed = without_mount(text, mountpoint).encode()
            document = self.lock()
            document["mounts"].pop(mountpoint, None)
            texts = {self.path: changed}
            if os.path.exists(lock.lock_path(self.path)):
                texts[lock.lock_path(self.path)] = lock.dump(self._whole(document, changed))
            self._write(texts)

    def _parsed(self, data: bytes) -> tuple[str, dict[str, Request], list[Diagnostic]]:
        text = data.decode()
        requests, found = from_document(tomllib.loads(text), Source(self.path, text))
        return text, requests, found

    def _write(self, texts: dict[str, bytes]) -> None:
        try:
            files.write_together(texts)
        except OSError as error:
            raise ContractError([files.fault(self.path, error, "unwritable")]) from error


def _clashes(
    request: Request, plan: dict[str, Any], requests: Mapping[str, Request], held: claims.Held
) -> list[Diagnostic]:
    """E-CLAIM for what a plan claims and another backend, too."""
    met = held.first(request.mountpoint, plan)
    if met is None:
        return []
    first, second = met
    places = [_place_of(requests.get(each[0], request), each[1], each[3]) for each in (first, second)]
    shown = [f"{each[1]} of {each[0]}" for each in (first, second)]
    given = requests.get(second[0], request).config.get(second[1], {}).get(second[3])
    other = another(given.raw[0] if given is not None and given.words else given and given.raw, second[2])
    settings = setting(requests.get(second[0], request), second[1], {second[3]: other}) if other is not None else ""
    return [clash((shown[0], first[2], places[0]), (shown[1], second[2], places[1]), "mounts", settings)]


def _place_of(request: Request, label: str, option: str) -> Span:
    """Where an option was given, else where the instance was asked for; the request where it was pulled in."""
    given = request.config.get(label, {}).get(option)
    if given is not None:
        return given.locate(())
    return next((asked.span for asked in request.plugins if asked.label == label), request.span)


def _used(plugins: Iterable[str], catalogue: Catalogue) -> Iterator[Contract]:
    """The contracts of some plugins of a plan."""
    for plugin in plugins:
        contract = catalogue.entries[plugin][0].contract
        assert contract is not None
        yield contract


def paths_of(checked: Checked, catalogue: Catalogue) -> dict[str, str]:
    """For each plugin of a plan, and each that was considered for it, the path of its contract."""
    assert checked.plan is not None
    plan = checked.plan.document
    names = {plugin["plugin"] for plugin in plan["plugins"]}.union(plan["considered"])
    return {name: os.path.abspath(catalogue.entries[name][0].path) for name in sorted(names)}


def _mounted(text: str) -> dict[str, Any]:
    """The table `mounts` of a mount file that was parsed before."""
    mounts = tomllib.loads(text).get("mounts", {})
    return mounts if isinstance(mounts, dict) else {}


def _body(request: Request, catalogue: Catalogue, checked: Checked) -> dict[str, Any]:
    """The table of a mount file for a request that was made of words."""
    assert checked.plan is not None
    plan = checked.plan.document
    plugin_of = {each["instance"]: each["plugin"] for each in (*plan["left_out"], *plan["plugins"])}
    config: dict[str, dict[str, Any]] = {}
    for label, given in request.config.items():
        for name, value in given.items():
            entry = catalogue.entries[plugin_of[label]][0]
            assert entry.contract is not None
            raw = options.from_words(entry.contract.config[name], list(value.raw)) if value.words else value.raw
            config.setdefault(label, {})[name] = raw
    body: dict[str, Any] = {
        "plugins": [asked.text for asked in request.plugins],
        "optional": [asked.text for asked in request.optional],
        "want": list(request.want),
        "prefer": list(request.prefer),
        "durability": request.durability,
        "order": [list(chain) for chain in request.order],
        "config": config,
    }
    given = {word: value for word, value in body.items() if value or word == "plugins"}
    return given if request.recommends else {**given, "recommends": False}


def _told(values: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    if not values:
        return ()
    from meter.core.completing import lines  # as in completed

    return tuple(lines(values))
