"""Drift: contracts that say something else than when a mounted backend was checked, and what becomes of it.

The relation between two versions of a contract decides, for the mount at hand: a version that may stand for the old one
runs, with a note; one of which only a new check can tell is checked; any other is refused until the mount is made anew.
In the end order and metrics are those that were mounted, or nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from attrs import evolve

from meter.contracts import options
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.host import DIGEST, SCHEMA, Host
from meter.contracts.language import language
from meter.contracts.model import Contract, Source
from meter.contracts.reader import recall
from meter.contracts.replacement import rulebook
from meter.contracts.replacement.compatibility import Comparison, compare
from meter.contracts.replacement.facts import MountFacts
from meter.contracts.replacement.succession import rule_note
from meter.contracts.request import Asked, Request
from meter.contracts.spans import Span
from meter.core import lock

SHOWN = 6
"""So many rules are said of a plugin."""


class Locked(NamedTuple):
    """A backend as its lock has it: the request, the entry, the lock's document and path."""

    request: Request
    entry: Mapping[str, Any]
    document: Mapping[str, Any]
    path: str

    @property
    def plan(self) -> Mapping[str, Any]:
        """The plan."""
        plan: Mapping[str, Any] = self.entry["plan"]
        return plan


class Difference(NamedTuple):
    """An instance whose contract says something else; without a comparison where the old one is not known any more."""

    label: str
    plugin: str
    comparison: Comparison | None

    @property
    def level(self) -> str:
        """The class of what has changed, in this mount."""
        return language().values("class")[-1] if self.comparison is None else self.comparison.level

    @property
    def start(self) -> str:
        """What becomes of the backend."""
        return rulebook.at_start(self.level)


class _Kept(Source):
    """A contract in a lock, by the digest that it is kept under."""

    def __init__(self, mounted: Locked, digest: str) -> None:
        super().__init__(mounted.path, "")
        self._mounted = mounted
        self._digest = digest

    def key(self, *path: str | int) -> Span:
        """The place in the lock."""
        line, column = lock.place(dict(self._mounted.document), ("contracts", self._digest, *path))
        return Span(self.file, line, column)

    value = key


def differences(mounted: Locked, catalogue: Catalogue, host: Host) -> list[Difference]:
    """The instances of a backend whose contract says something else than the plan was made with, by label."""
    contracts = {each["plugin"]: _readable(catalogue, each["plugin"]) for each in mounted.plan["plugins"]}
    found = []
    for plugin in sorted(mounted.plan["plugins"], key=lambda each: str(each["instance"])):
        new = contracts[plugin["plugin"]]
        if new is None or new.digest == plugin["contract"]:
            continue  # what cannot be read, or is not there, the check says
        old = _recalled(mounted, plugin["contract"])
        facts = _facts(mounted, plugin, new, contracts, host)
        comparison = None if old is None else compare(old, new, facts)
        found.append(Difference(plugin["instance"], plugin["plugin"], comparison))
    return found


def _readable(catalogue: Catalogue, plugin: str) -> Contract | None:
    entries = catalogue.entries.get(plugin, ())
    return entries[0].contract if len(entries) == 1 else None


def _recalled(mounted: Locked, digest: str) -> Contract | None:
    """A contract as the lock keeps it, where nobody has edited it."""
    import copy  # only drift needs it

    kept = mounted.document["contracts"].get(digest)
    if not isinstance(kept, dict):
        return None
    contract = recall(copy.deepcopy(kept), _Kept(mounted, digest))
    return contract if contract is not None and contract.digest == digest else None


def _facts(
    mounted: Locked, plugin: Mapping[str, Any], new: Contract, contracts: Mapping[str, Contract | None], host: Host
) -> MountFacts:
    """What the lock knows of the mount, seen from one instance."""
    label = plugin["instance"]
    others = {}
    for each in mounted.plan["plugins"]:
        contract = contracts[each["plugin"]]
        if each["instance"] != label and contract is not None:
            others[each["instance"]] = {contract.name: contract.version, **contract.provides.capabilities}
    claims = [
        row["claim"]
        for mountpoint, plan in lock.plans(dict(mounted.document)).items()
        for row in plan["claims"]
        if (mountpoint, row["instance"]) != (mounted.plan["mountpoint"], label)
    ]
    return MountFacts(
        label=label,
        interface=language().interface,
        order=tuple(mounted.plan["order"]),
        others=others,
        config=_given(mounted.request, plugin, new),
        claims=tuple(claims),
        host=host,
    )


def _given(request: Request, plugin: Mapping[str, Any], new: Contract) -> dict[str, Any] | None:
    """What the request gives to an instance; None where something else does, too."""
    given = request.config.get(plugin["instance"], {})
    if any(origin != "default" and name not in given for name, origin in plugin["origins"].items()):
        return None
    found = {}
    for name, value in given.items():
        try:
            found[name] = options.from_words(new.config[name], list(value.raw)) if value.words else value.raw
        except (KeyError, options.OptionError):  # an option that is gone, or takes no such words any more
            found[name] = value.raw
    return found


# ------------------------------------------------------------------------------------------------------- what is said


def refused(found: Sequence[Difference]) -> bool:
    """Whether a backend with these differences has to be mounted anew."""
    return any(each.start == "refused" for each in found)


def said(mounted: Locked, found: Sequence[Difference], variant: str = "", why: Sequence[str] = ()) -> list[Diagnostic]:
    """E-DRIFT for each plugin; with a variant also for those that would do by themselves, and with what stands against.

    Args: `variant` is `check` where a new check refuses the backend, `order` where its order or metrics are others.
    """
    chosen = found if variant else [each for each in found if each.start == "refused"]
    return list(_each(mounted, "E-DRIFT", chosen, variant, why))


def noted(mounted: Locked, found: Sequence[Difference]) -> list[Diagnostic]:
    """W-DRIFT for each plugin with changes; one that is only written otherwise is not worth a word."""
    return list(_each(mounted, "W-DRIFT", [e for e in found if e.comparison and e.comparison.changes], "", ()))


def _each(
    mounted: Locked, code: str, found: Sequence[Difference], variant: str, why: Sequence[str]
) -> Iterator[Diagnostic]:
    order = language().values("class")
    by_plugin: dict[str, Difference] = {}
    for each in found:
        known = by_plugin.setdefault(each.plugin, each)
        if order.index(each.level) > order.index(known.level):
            by_plugin[each.plugin] = each
    for plugin, each in by_plugin.items():
        asked = mounted.request.asked_at(each.label)
        facts = {"plugin": plugin, "mountpoint": mounted.request.mountpoint, "class": each.level}
        spans: tuple[Span, ...] = (asked,)
        notes = tuple(why)
        if each.comparison is not None:
            spans = (asked, *_places(each.comparison))
            notes = (*_rules(each.comparison), *notes)
        clause = each.comparison.changes[0].clause if each.comparison and each.comparison.changes else ""
        yield Diagnostic(code=code, facts=facts, spans=spans, notes=notes, variant=variant, clause=clause)


def _places(comparison: Comparison) -> Iterator[Span]:
    """Where the worst change stands now, and where it stood."""
    for change in comparison.changes[:1]:
        for span, which in zip(reversed(comparison.places(change)), ("says", "said"), strict=True):
            yield span._replace(label=language().phrase("text", which))


def _rules(comparison: Comparison) -> Iterator[str]:
    """The rules by which two contracts differ, the worst first."""
    for change in comparison.changes[:SHOWN]:
        yield rule_note(comparison, change)
    if len(comparison.changes) > SHOWN:
        yield language().phrase("note", "more-rules", count=str(len(comparison.changes) - SHOWN))


def sent_otherwise(mounted: Locked, facts: Mapping[tuple[str, str], str]) -> list[Diagnostic]:
    """E-DRIFT for each plan file of another meter that says something else than at the mount.

    Args: `facts`, what the host has answered now.
    """
    before = {(kind, argument): answer for kind, argument, answer in mounted.entry["facts"]}
    changed = {
        argument
        for (kind, argument), answer in sorted(facts.items())
        if kind == SCHEMA and answer.startswith(DIGEST) and before.get((kind, argument), answer) != answer
    }
    found = []
    for plugin in mounted.plan["plugins"]:
        for name, type_ in plugin["types"].items():
            reference = plugin["config"][name]
            if type_ == "schema" and reference in changed:
                spans = (mounted.request.given_at(plugin["instance"], name),)
                told = {"plugin": plugin["plugin"], "mountpoint": mounted.request.mountpoint, "path": reference}
                found.append(Diagnostic(code="E-DRIFT", facts=told, spans=spans, variant="schema"))
    return found


# ---------------------------------------------------------------------------------------------------------- what is run


def held(mounted: Locked, checked: Checked, again: Callable[[Request], Checked]) -> Checked | None:
    """A check whose order and metrics are those that are mounted; None where there is none.

    What the chain was completed with stays in it, also where nobody needs it any more: the lock keeps its plugins. So
    it is asked for with all that is there, where asking as before gives something else.
    """
    if checked.plan is not None and _alike(mounted.plan, checked.plan.document):
        return checked
    request, there = mounted.request, {each["instance"]: each["plugin"] for each in mounted.plan["plugins"]}
    asked = [evolve(each, name=there.get(each.label, each.name)) for each in request.plugins]
    known = {each.label for each in (*request.plugins, *request.optional)}
    more = [
        Asked(text=f"{plugin}#{label}", name=plugin, label=label, span=request.span)
        for label, plugin in there.items()
        if label not in known
    ]
    pinned = again(evolve(request, plugins=(*asked, *more), recommends=False))
    if pinned.plan is None or not _alike(mounted.plan, pinned.plan.document):
        return None
    because = {each["instance"]: each["because"] for each in mounted.plan["plugins"]}
    for plugin in pinned.plan.document["plugins"]:
        plugin["because"] = because[plugin["instance"]]
    return pinned


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two plans have the same plugins in the same order, and give the outputs the same metrics."""
    plugins = [[(each["instance"], each["plugin"]) for each in plan["plugins"]] for plan in (one, other)]
    return plugins[0] == plugins[1] and one["schema"] == other["schema"]


# ------------------------------------------------------------------------------------------------------- what is lost


def forgotten(mounted: Locked, plan: Mapping[str, Any]) -> list[Diagnostic]:
    """W-STATE-LOST for each instance that another plan replaces, and that loses what it remembers by it."""
    before = {each["instance"]: each for each in mounted.plan["plugins"]}
    found = []
    for plugin in sorted(plan["plugins"], key=lambda each: str(each["instance"])):
        label = plugin["instance"]
        old = before.get(label)
        if old is None or old["plugin"] != plugin["plugin"]:
            continue
        what = "contract" if old["contract"] != plugin["contract"] else "config" if _reset(old, plugin) else ""
        state = mounted.document["contracts"].get(old["contract"], {}).get("state", "")
        if what and state and language().says("state", state, "forgets"):
            asked = mounted.request.asked_at(label)
            facts = {"instance": label, "what": language().phrase("text", f"new-{what}")}
            facts["state"] = language().words["state"][state]["description"]
            found.append(Diagnostic(code="W-STATE-LOST", facts=facts, spans=(asked,), clause="state"))
    return found


def _reset(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether an instance has another configuration."""
    return bool(old["config"] != new["config"])
