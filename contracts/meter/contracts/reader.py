"""The reader: the text of a contract becomes a `Contract`, or diagnostics, all of them at once.

CONTRACT.ini says which clauses there are; this module walks a parsed document along it. It is a total function:
whatever the text, the answer is a contract or diagnostics, never another error.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from attrs import evolve

from meter.contracts import options, tables
from meter.contracts.diagnostics import Diagnostic, cut_short, listed, nearest
from meter.contracts.documents import LIMIT, Path, parse_toml
from meter.contracts.editing.edits import clear, likely, renamed
from meter.contracts.editing.meant import meant_by
from meter.contracts.findings import EnoughError, Findings
from meter.contracts.language import ABSENT, Clause, language
from meter.contracts.model import Contract, Source
from meter.contracts.placeholders import CONFIG
from meter.contracts.relations import Relations
from meter.contracts.scalars import SCALARS
from meter.contracts.script_block import in_script, script_block
from meter.contracts.spans import Span
from meter.contracts.structure import build

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,9}")


class ReadContract(NamedTuple):
    """What a text gave: a contract where there is no error, and every diagnostic."""

    contract: Contract | None
    diagnostics: tuple[Diagnostic, ...]
    stated: Contract | None = None
    """What each clause says by itself is sound: to be compared, also where the whole cannot be mounted here."""


def read(data: bytes, file: str, stem: str = "plugin") -> ReadContract:
    """Read a contract from the bytes of a `contract.toml`, or of a `.py` file with a script block.

    Args: `file` is named in spans; `stem` is the module that `exports.plugin` has by default.
    """
    block = None
    if file.endswith(".py"):
        block = script_block(data[:LIMIT].decode("utf-8", errors="surrogateescape"))
        if block is None:
            return ReadContract(None, (_missing_contract(file),))
        data = block.text.encode("utf-8", errors="surrogateescape")
    parsed = parse_toml(data, file)
    if isinstance(parsed, Diagnostic):
        spans = parsed.spans if block is None else tuple(in_script(span, block) for span in parsed.spans)
        return ReadContract(None, (evolve(parsed, spans=spans),))
    document, text = parsed
    source = Source(file, text) if block is None else Source(file, text, first_line=block.line, located=block.located)
    return _Reader(document, source, stem).read()


def recall(document: dict[str, Any], source: Source) -> Contract | None:
    """A contract out of clauses that were read before, such as a lock keeps, as far as this meter knows them.

    Whether it could be mounted is not asked: it is there to be compared. None where a clause is of another type, or an
    obligatory one is not there. The document is changed.
    """
    reader = _Reader(document, source, "plugin")
    try:
        body = reader.clauses()
    except EnoughError:
        return None
    clauses = language().clauses
    for diagnostic in reader.found:
        tolerable = diagnostic.level == "warning" or diagnostic.code == "E-CLAUSE-UNKNOWN"
        lists = diagnostic.code == "E-CLAUSE-MISSING" and clauses[tuple(diagnostic.clause.split("."))].type == "tables"
        if not tolerable and not lists:
            return None
    return build(Contract, {**body, "source": source, "body": body})


def _missing_contract(file: str) -> Diagnostic:
    return Diagnostic(code="E-CONTRACT-MISSING", facts={"path": file}, spans=(Span(file, 1, 1),))


class _Reader:
    """One walk over one document."""

    def __init__(self, document: dict[str, Any], source: Source, stem: str) -> None:
        self.document = document
        self.source = source
        self.stem = stem
        self.findings = Findings(document, source)
        self.found, self.say = self.findings.found, self.findings.say
        placement = document.get("placement")
        known = isinstance(placement, str) and placement in language().words["placement"]
        self.placement: str | None = placement if known else None

    def clauses(self) -> dict[str, Any]:
        """The whole document along its clauses; of use where nothing was found to be wrong."""
        if self.placement is not None:
            _imply(self.document, _implied(self.placement))
        return self.table((), (), self.document)

    def read(self) -> ReadContract:
        """The contract of the document, or what is wrong with it."""
        try:
            return self.whole()
        except EnoughError:
            return ReadContract(None, tuple(cut_short(self.found, self.source.file, whole=False)))

    def whole(self) -> ReadContract:
        """The same, unless there is too much wrong with it."""
        body = self.clauses()
        if self.findings.failed:
            return ReadContract(None, tuple(self.causes()))
        body["exports"] = {"plugin": f"{self.stem}:Plugin", **body["exports"]}
        contract = build(Contract, {**body, "source": self.source, "body": body})
        Relations(contract, self.document, self.findings).look()
        return ReadContract(None if self.findings.failed else contract, tuple(self.found), contract)

    def causes(self) -> Iterator[Diagnostic]:
        """What was found; where clauses of another placement stand, what this one lacks may be no fault."""
        elsewhere = any(each.code == "E-CLAUSE-UNKNOWN" and each.variant == "placement" for each in self.found)
        for each in self.found:
            if each.code == "E-CLAUSE-MISSING" and elsewhere:
                clause = language().clauses[tuple(each.clause.split("."))]
                if clause.obligatory == self.placement:
                    continue
            yield each

    def table(self, path: Path, clause_path: tuple[str, ...], raw: dict[str, Any]) -> dict[str, Any]:
        """One table along its clauses: unknown names, missing ones, defaults."""
        clauses, strange, defaults, asked = tables.table(clause_path, self.placement)
        out: dict[str, Any] = {**defaults}
        misspelt: set[str] = set()
        for name in sorted(raw):
            if name.startswith("x-"):
                continue
            clause = clauses.get(name)
            if clause is None or name in strange:
                dotted = ".".join([*(str(part) for part in path if isinstance(part, str)), name])
                facts = {"near": nearest(name, clauses) if clause is None else "", "placement": self.placement or ""}
                variant = "" if clause is None else "placement"
                free = [each for each in clauses if each not in raw and each not in strange]
                meant = likely(name, free) if clause is None else ()
                edit = renamed(self.source.mentions(*path, name), name, meant[0]) if len(meant) == 1 else None
                misspelt.update(meant)
                self.say("E-CLAUSE-UNKNOWN", self.source.key(*path, name), dotted, variant, edit, **facts)
                continue
            out[name] = self.value(clause, (*path, name), raw[name])
        unstated: list[Clause] = []
        for clause in asked:
            name = clause.path[-1]
            if name in raw or name in misspelt:
                continue
            if clause.obligatory in ("yes", self.placement) or clause.unless not in (None, *raw):
                self.say("E-CLAUSE-MISSING", self.table_place(path), clause.name, description=clause.description)
                continue
            if clause.obligatory == "lint":
                unstated.append(clause)
            if clause.default is not ABSENT:
                whole = clause.type != "table"  # a table has defaults of its own
                out[name] = clause.default if whole else self.table((*path, name), clause.path, clause.default)
        if unstated:
            names = listed(clause.name for clause in unstated)
            texts = "; ".join(f"`{clause.name}`: {clause.description.rstrip('.')}" for clause in unstated)
            self.say("W-CLAUSE-MISSING", self.table_place(path), unstated[0].name, clauses=names, descriptions=texts)
        return out

    def table_place(self, path: Path) -> Span:
        """Where a table lacks something: at its name; as a whole contract, or if it is not there, at the plugin's."""
        there = bool(path) and self.source.has(*path[:1])
        return self.source.value("name") if not there and "name" in self.document else self.source.key(*path)

    def value(self, clause: Clause, path: Path, raw: Any) -> Any:
        """One value along its clause's type; an option's placeholder where the type lets it stand in."""
        container, item, option = tables.shape(clause.type)
        if option and isinstance(raw, str) and CONFIG.fullmatch(raw):
            return raw
        if container:
            return self.many(clause, container, item, path, raw)
        if clause.type == "table":
            return self.table(path, clause.path, raw) if isinstance(raw, dict) else self.wrong(clause, path, raw)
        if clause.type == "tables":
            if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
                return self.wrong(clause, path, raw)
            if not raw and clause.obligatory == self.placement:
                self.say("E-CLAUSE-MISSING", self.source.key(*path), clause.name, description=clause.description)
            return [self.table((*path, place), clause.path, entry) for place, entry in enumerate(raw)]
        return self.scalar(clause, item, path, raw)

    def many(self, clause: Clause, container: str, item: str, path: Path, raw: Any) -> Any:
        """The values of a list or map."""
        if container == "list":
            if not isinstance(raw, list):
                return self.wrong(clause, path, raw)
            return [self.scalar(clause, item, (*path, place), entry) for place, entry in enumerate(raw)]
        if not isinstance(raw, dict):
            return self.wrong(clause, path, raw)
        if item == "table":
            return {
                name: self.table((*path, name), (*clause.path, "*"), entry)
                if isinstance(entry, dict)
                else self.wrong(clause, (*path, name), entry, language().phrase("type", "table", "wanted"))
                for name, entry in sorted(raw.items())
                if not name.startswith("x-")
            }
        if clause.names:
            self.names(clause, path, raw)
        return {name: self.scalar(clause, item, (*path, name), entry) for name, entry in sorted(raw.items())}

    def names(self, clause: Clause, path: Path, raw: Iterable[str]) -> None:
        """Note names of a map that cannot be any."""
        for name in sorted(raw):
            wanted = SCALARS[clause.names](name)
            if wanted is not None:
                facts = {"got": f"`{name}`", "wanted": wanted, "description": clause.description}
                self.say("E-CLAUSE-TYPE", self.source.key(*path, name), clause.name, "among", **facts)

    def wrong(self, clause: Clause, path: Path, raw: Any, wanted: str = "", item: str = "") -> Any:
        """Note that a value is not of its clause's type, or not of the type of its items."""
        said = clause.type.removesuffix("|option").partition("<")[0]
        within_it = {"tables": ("table", dict), "domain": ("str", str)}.get(item or said)
        if within_it is not None and isinstance(raw, list):
            kind, type_ = within_it
            strange = [place for place, each in enumerate(raw) if not isinstance(each, type_)]
            if strange:
                self.among(clause, (*path, strange[0]), raw[strange[0]], kind)
                return raw
        span = self.source.value(*path)
        meant = meant_by(item, raw) if isinstance(raw, str) else ""
        facts = {
            "got": options.describe(raw),
            "wanted": wanted or language().phrase("type", said, "wanted"),
            "description": clause.description,
            "near": f"{language().phrase('text', 'near', names=f'`{meant}`')} " if meant else "",
        }
        edit = renamed(span, raw, meant) if meant else None
        self.say("E-CLAUSE-TYPE", span, clause.name, "near" if meant else "", edit, **facts)
        return raw

    def among(self, clause: Clause, path: Path, raw: Any, kind: str) -> None:
        """Note that an item of a list is of another type than the others have to be."""
        facts = {"got": options.describe(raw), "wanted": language().phrase("type", kind, "wanted")}
        span = self.source.value(*path)
        self.say("E-CLAUSE-TYPE", span, clause.name, "among", description=clause.description, **facts)

    def scalar(self, clause: Clause, item: str, path: Path, raw: Any) -> Any:
        """One scalar along a type; the word that is wrong has its own code where there is one."""
        if item == "enum":
            if isinstance(raw, str) and (raw in clause.values or (clause.numbers and _WHOLE.fullmatch(raw))):
                return raw
            self.no_word(clause, path, raw)
            return raw
        if item == "name" and isinstance(raw, str) and not _NAME.fullmatch(raw):
            self.say("E-NAME", self.source.value(*path), clause.name, name=raw)
            return raw
        misfit = SCALARS[item](raw)
        return raw if misfit is None else self.wrong(clause, path, raw, misfit, item)

    def no_word(self, clause: Clause, path: Path, raw: Any) -> None:
        """Note that a value is none of the words of its clause."""
        span = self.source.value(*path)
        if not isinstance(raw, str):
            got, values = options.describe(raw), ", ".join(clause.values)
            self.say("E-CLAUSE-TYPE", span, clause.name, "enum", got=got, values=values, near="")
            return
        values = ", ".join(clause.values)
        near = nearest(raw, clause.values)
        word = clear(raw, clause.values)
        edit = renamed(span, raw, word) if word else None
        if clause.codes[0] == "E-PLACEMENT-UNKNOWN":
            self.say("E-PLACEMENT-UNKNOWN", span, clause.name, "", edit, placement=raw, near=near, values=values)
        elif clause.codes[0] == "E-STATUS-UNKNOWN":
            self.say("E-STATUS-UNKNOWN", span, clause.name, "", edit, word=raw, near=near)
        else:
            got = options.describe(raw)
            self.say("E-CLAUSE-TYPE", span, clause.name, "enum", edit, got=got, values=values, near=near)


@lru_cache(maxsize=16)
def _implied(placement: str) -> dict[str, Any]:
    """What a placement implies; parsed once, as every contract asks for it."""
    return tomllib.loads(language().words["placement"][placement].get("implied", ""))


def _imply(document: dict[str, Any], implied: dict[str, Any]) -> None:
    """Put implied clauses under a document: what it says itself stands."""
    for name, value in implied.items():
        if name not in document:
            document[name] = value
        elif isinstance(document[name], dict) and isinstance(value, dict):
            if name == "config":
                document[name] = {**value, **document[name]}
            else:
                _imply(document[name], value)
