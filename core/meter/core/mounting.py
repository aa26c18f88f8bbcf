"""Mounting: a mount file is changed, and its lock with it.

Every change is written whole or not at all, and none of it needs a mounted plugin to be there.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from meter.contracts import keynames, options
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked
from meter.contracts.command_line import NONE, Asks, from_words, rest_of_words
from meter.contracts.diagnostics import ContractError, Diagnostic, diagnostic
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.request import Request, check_mountpoint
from meter.contracts.spans import Span, Words
from meter.core import files, lock_text, own_check
from meter.core.host import Probe
from meter.core.lock_text import Made
from meter.core.moment import Moment, all_wrong
from meter.core.mount_text import over, with_mount, with_options, without_mount
from meter.core.mounts import Mounts, Ready, mounted_in


class Mounting(Mounts):
    """A mount file with its lock, for who changes them."""

    def mount(self, mountpoint: str, words: Sequence[str], before: Sequence[str], asks: Asks = NONE) -> Ready:
        """Build and record the backend that some words of a command line ask for.

        Args: `mountpoint` as typed: `//a/./b/` is `/a/b`; `asks` as for `meter.contracts.command_line.from_words`.

        Raises: ContractError; nothing was changed then.
        """
        mountpoint = keynames.tidy(mountpoint)
        with files.guarded(self.folder):
            text, requests = self._readable()
            line = Words([*before, *words])
            if mountpoint in requests or mountpoint in mounted_in(text):
                raise ContractError([diagnostic("E-MOUNT-TAKEN", line.span(len(before) - 1), mountpoint=mountpoint)])
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
            if known is None and mountpoint not in mounted_in(text):
                return self._add(text, request, body)
            if known is not None and known.digest() != request.digest():
                catalogue, problems = self.catalogue()
                request = self.completed(request, catalogue, problems)[0]  # as it was when it was mounted
        if known is None or known.digest() != request.digest():
            raise ContractError([diagnostic("E-MOUNT-TAKEN", request.span, mountpoint=mountpoint)])
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
            raise ContractError([diagnostic("E-OPTION", request.span, "not-utf8", **facts)]) from None
        _, again, _ = self._parsed(changed)
        if clashes := self._clashes(request, checked.plan.document, again):
            raise ContractError([*problems, *checked.diagnostics, *clashes])
        texts = {self.path: changed}
        if self.host is None:
            mounted = again[request.mountpoint]
            # What is to be said of it from now on stands in the file, and not in a command line or script.
            shown = self.check(mounted, catalogue)[0] if checked.diagnostics else checked
            texts |= self._recorded([Made(mounted, shown, catalogue, probe)], changed)
        self._write(texts)
        contracts = lock_text.paths_of(checked, catalogue)
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
        if not any(own_check.EXPORT in plugin["exports"] for plugin in checked.plan.document["plugins"]):
            return request, checked, probe, {}
        from meter.core.completing import complete  # the engine, which few mounts need

        probes = [probe]
        found = complete(request, catalogue, checked, self.checking(catalogue, probes))
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
            known = None
            if entry is not None:
                from meter.core import drift  # the language of replacements: what is mounted first needs none

                known = drift.Locked(request, entry, self.lock(), self.lock_path)
            before = entry["plan"] if entry is not None and entry["request"] == request.digest() else None
            request, checked, probe, values = self.completed(request, catalogue, problems)
            assert checked.plan is not None
            if clashes := self._clashes(request, checked.plan.document, requests):
                raise ContractError([*problems, *checked.diagnostics, *clashes])
            if before is not None:
                own_check.remembered(checked.plan.document, before)
            lost = [] if known is None else drift.forgotten(known, checked.plan.document)
            data = self._data()
            texts: dict[str, bytes] = {}
            if values:
                data = with_options(data.decode(), mountpoint, values).encode()
                texts = {self.path: data}
                request = self._parsed(data)[1][mountpoint]
            self._write(texts | self._recorded([Made(request, checked, catalogue, probe)], data))
            told = (*problems, *checked.diagnostics, *lost)
            return Ready(checked.plan.document, lock_text.paths_of(checked, catalogue), told, completed=_told(values))

    def umount(self, mountpoint: str, span: Span) -> None:
        """Take a backend out of the mount file and its plan out of the lock.

        Args: `mountpoint` as typed.

        Raises: ContractError; nothing was changed then.
        """
        mountpoint = keynames.tidy(mountpoint)
        with files.guarded(self.folder):
            text, _, _ = self.read()
            if mountpoint not in mounted_in(text):
                raise ContractError([self.unknown(mountpoint, sorted(mounted_in(text)), span)])
            changed = without_mount(text, mountpoint).encode()
            document = self.lock()
            document["mounts"].pop(mountpoint, None)
            texts = {self.path: changed}
            if os.path.exists(self.lock_path):
                texts[self.lock_path] = lock_text.text(document, changed)
            self._write(texts)

    def _clashes(self, request: Request, plan: dict[str, Any], requests: Mapping[str, Request]) -> list[Diagnostic]:
        """E-CLAIM for what a plan claims and another mount claims too, as the lock has it of unchanged requests."""
        now = Moment(("", requests, []), self.path, self.lock(), self.catalogue, whole=False)
        return now.clashes(request, plan)

    def _parsed(self, data: bytes) -> tuple[str, dict[str, Request], list[Diagnostic]]:
        text = data.decode()
        requests, found = from_document(tomllib.loads(text), Source(self.path, text))
        return text, requests, found

    def _write(self, texts: dict[str, bytes]) -> None:
        try:
            files.write_together(texts)
        except OSError as error:
            raise ContractError([files.fault(self.path, error, "unwritable")]) from error


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
