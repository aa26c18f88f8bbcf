"""Relations: what no clause of a contract says alone, such as whether an option that a guard names is declared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container
from fnmatch import fnmatchcase
from typing import Any, cast

from attrs import evolve

from meter.contracts import options
from meter.contracts.constraints import mixed, parse_constraint
from meter.contracts.diagnostics import listed, nearest
from meter.contracts.documents import Path
from meter.contracts.editing.edits import clear, renamed, within
from meter.contracts.findings import Findings
from meter.contracts.formula.formula_clauses import misfits
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Contract, MetricClause, Option
from meter.contracts.spans import Span
from meter.contracts.uses import Use, named_options, takes
from meter.contracts.versions import parse_version, satisfies


class Relations:
    """How the clauses of a contract, each of which is sound, stand to each other; faults go to `findings`."""

    def __init__(self, contract: Contract, document: dict[str, Any], findings: Findings) -> None:
        self._contract = contract
        self._document = document
        self._source = contract.source
        self._findings = findings
        self._say = findings.say

    def look(self) -> None:
        """Note all that does not fit."""
        contract = self._contract
        speaks = language()
        if contract.contract != speaks.version:
            facts = {"wanted": str(contract.contract), "got": str(speaks.version)}
            self._say("E-INTERFACE", self._source.value("contract"), "contract", "language", **facts)
        if not satisfies(parse_version(speaks.interface), contract.interface):
            facts = {"wanted": contract.interface, "got": speaks.interface}
            self._say("E-INTERFACE", self._source.value("interface"), "interface", **facts)
        if contract.alias:
            from meter.contracts.resolution import aliases  # few contracts have one

            self._findings.found += [evolve(each, clause="alias") for each in aliases.told(contract).diagnostics]
        sound = {name for name, option in contract.config.items() if self._option(name, option)}
        for place, clause in enumerate(contract.provides.metrics):
            self._parts(place, clause)
            if clause.schema is not None:
                self._beside(("provides", "metrics", place))
        for misfit in misfits(contract):
            span = self._source.key(*misfit.path)
            self._say(misfit.code, span, misfit.clause, misfit.variant, **misfit.facts)
        if contract.placement == "source" and contract.config["interval"].type != "duration":
            self._misused(Use(("config", "interval", "type"), "config.*.type", "interval", ("duration",)))
        self._constraints()
        self._uses(sound)

    def _uses(self, sound: Container[str]) -> None:
        """Note names of options that are none, or none of the types that may stand there; and guards of no value.

        Args: `sound`, the options whose own clauses fit each other.
        """
        contract = self._contract
        uses = list(named_options(contract))
        named = Counter(use.option for use in uses)
        for use in uses:
            if use.option not in contract.config:
                near = nearest(use.option, contract.config)
                declared = listed(sorted(contract.config))
                facts = {"plugin": contract.name, "option": use.option, "near": near, "options": declared}
                variant, span = "" if declared else "none", self._named(use)
                fits = (name for name, option in contract.config.items() if takes(option.type, use.types))
                meant = clear(use.option, fits)
                edit = renamed(span, use.option, meant) if meant and not span.length - len(use.option) else None
                if meant and not named[meant] and named[use.option] > 1:  # then the declaration is what is misspelt
                    edit = renamed(self._source.mentions("config", meant), meant, use.option)
                self._say("E-CONFIG-UNKNOWN", span, use.clause, variant, edit, **facts)
            elif not takes(contract.config[use.option].type, use.types):
                self._misused(use)
            elif use.guard is not ABSENT and use.option in sound:
                many = isinstance(use.guard, list)
                for place, value in enumerate(use.guard if many else [use.guard]):
                    path = (*use.path, place) if many else use.path
                    self._fits(use.option, value, path, use.clause)

    def _parts(self, place: int, clause: MetricClause) -> None:
        """Whether the parts of a metric are values of its attributes, and none a part of itself."""
        for attribute, pairs in sorted(clause.parts.items()):
            path: Path = ("provides", "metrics", place, "parts", attribute)
            domain = clause.attributes.get(attribute)
            if domain is None:
                near = nearest(attribute, clause.attributes)
                facts = {"attribute": attribute, "near": near, "known": listed(sorted(clause.attributes))}
                self._say("E-CLAUSE-TYPE", self._source.key(*path), "provides.metrics.parts", "no-attribute", **facts)
                continue
            for part in sorted(pairs):
                wrong = [value for value in (part, pairs[part]) if isinstance(domain, list) and value not in domain]
                above = {part}
                whole: str | None = pairs[part]
                while whole is not None and whole not in above:
                    above.add(whole)
                    whole = pairs.get(whole)
                if wrong or whole is not None:
                    values = listed(domain) if isinstance(domain, list) else ""
                    facts = {"value": (wrong or [part])[0], "attribute": attribute, "values": values}
                    variant = "no-value" if wrong else "own-part"
                    at = self._source.value if wrong and wrong[0] != part else self._source.key
                    self._say("E-CLAUSE-TYPE", at(*path, part), "provides.metrics.parts", variant, **facts)
                    break

    def _option(self, name: str, option: Option) -> bool:
        """Whether the clauses of one option fit each other; says which do not."""
        path: Path = ("config", name)
        if option.type.endswith(("enum", "enum>")) and not option.values:
            values = language().clauses["config", "*", "values"]
            self._say("E-CLAUSE-MISSING", self._source.key(*path), values.name, description=values.description)
            return False
        if option.access is not None and not option.type.endswith(("path", "path>")):
            use = Use((*path, "access"), "config.*.access", name, ("path", "list<path>", "map<path>"))
            self._misused(use)
        bounds = {bound: getattr(option, bound) for bound in ("min", "max")}
        item = options.item_of(option)
        if not any(fnmatchcase(item.type, pattern) for pattern in options.ORDERED):
            unbounded = [bound for bound, limit in bounds.items() if limit is not ABSENT]
            for bound in unbounded:
                self._misused(Use((*path, bound), f"config.*.{bound}", name, options.ORDERED))
            if unbounded:
                return False
        free = evolve(item, min=ABSENT, max=ABSENT)
        for bounded in (free, item):  # first what each bound is, then how they stand to each other
            for bound, limit in bounds.items():
                place, clause = (*path, bound), f"config.*.{bound}"
                if limit is not ABSENT and not self._fits(name, limit, place, clause, bounded):
                    return False
        place = (*path, "default")
        return option.default is ABSENT or self._fits(name, option.default, place, "config.*.default", option)

    def _beside(self, path: Path) -> None:
        """Note clauses of a table of metrics that stand beside one that says what they do."""
        clauses = language().below["provides", "metrics"]
        raw = self._document["provides"]["metrics"][path[-1]]
        for name, clause in sorted(clauses.items()):
            if name in raw and clause.without in raw:
                self._say(
                    "E-CLAUSE-UNKNOWN", self._source.key(*path, name), clause.name, "beside", other=clause.without
                )

    def _constraints(self) -> None:
        """Note constraints that compare what cannot be compared, such as a time with a size."""
        types = {name: option.type for name, option in self._contract.config.items()}
        places: list[tuple[Path, str, tuple[str, ...]]] = [(("require",), "require", self._contract.require)]
        places += [
            (("needs", "metrics", at, "require"), "needs.metrics.require", rule.require)
            for at, rule in enumerate(self._contract.needs.metrics)
        ]
        for path, clause, texts in places:
            for place, text in enumerate(texts):
                if (pair := mixed(parse_constraint(text), types)) is not None:
                    first, second = pair
                    facts = {"got": options.describe(text), "description": ""}
                    wanted = language().phrase("type", "constraint", "wanted", "mixed", first=first, second=second)
                    self._say(
                        "E-CLAUSE-TYPE", self._source.value(*path, place), clause, "mixed", wanted=wanted, **facts
                    )

    def _fits(self, name: str, value: Any, path: Path, clause: str, option: Option | None = None) -> bool:
        """Whether a value in the contract is one of an option; says why it is not."""
        try:
            options.canonical(option or self._contract.config[name], value)
        except options.OptionError as problem:
            place = self._source.value(*path, *problem.at)
            span = problem.narrowed(place, value)._replace(hidden=problem.hidden)
            facts = {"option": name, "instance": self._contract.name, **problem.facts}
            self._say(problem.code, span, clause, problem.variant, problem.edit(place, value), **facts)
            return False
        return True

    def _misused(self, use: Use) -> None:
        """Note that an option of this type cannot stand here."""
        facts = {
            "option": use.option,
            "type": self._contract.config[use.option].type,
            "types": " or ".join(use.types).replace("<*>", "<T>").replace("(*)", "(UNIT)"),
            "description": language().clauses[tuple(use.clause.split("."))].description,
        }
        self._say("E-CLAUSE-TYPE", self._named(use), use.clause, "option", **facts)

    def _named(self, use: Use) -> Span:
        """Where the name of an option stands: as the key of a guard, or in a text; the whole text if it has escapes."""
        if use.path[-1] == use.option:
            return self._source.key(*use.path)
        span, raw = self._source.value(*use.path), cast("Any", self._document)
        for step in use.path:
            raw = raw[step]
        found = re.search(rf"(?<=config\.){re.escape(use.option)}(?![\w-])", raw) if isinstance(raw, str) else None
        return within(span, raw, *found.span()) if found else span
