"""The reader: the text of a contract becomes a `Contract`, or diagnostics, all of them at once.

CONTRACT.ini says which clauses there are; this module walks a parsed document along it. It is a total function:
whatever the text, the answer is a contract or diagnostics, never another error.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from attrs import evolve

from meter.contracts import options, selectors, tables
from meter.contracts.capabilities import CAPABILITIES
from meter.contracts.constraints import ConstraintError, mixed, parse_constraint
from meter.contracts.diagnostics import MANY, Diagnostic, cut_short, listed, nearest
from meter.contracts.dotted import longest_key
from meter.contracts.editing.edits import Edit, clear, likely, renamed, within
from meter.contracts.editing.meant import meant_by
from meter.contracts.editing.repeated import repeated
from meter.contracts.formula.formula_clauses import ITEM, misfits
from meter.contracts.language import ABSENT, Clause, language
from meter.contracts.model import Contract, MetricClause, Option, RuleClause, Source
from meter.contracts.placeholders import CONFIG
from meter.contracts.quantities import parse_duration
from meter.contracts.spans import Span
from meter.contracts.structure import build
from meter.contracts.sysctl import intervals, is_name
from meter.contracts.versions import parse_version, satisfies

LIMIT: Final = 1 << 20
"""A contract or mount file of more bytes is refused unread."""
DEEPEST: Final = 32
"""Tables and lists nested deeper than this are refused; what walks a document need not fear for its stack."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,9}")
_ENTRY: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_BEGIN: Final = re.compile(r"(?m)^# /// meter[ \t]*\r?\n")
_COMMENT: Final = re.compile(r"#(?: .*)?\r?\n?")
_END: Final = re.compile(r"# ///[ \t]*\r?\n?")
_MARK: Final = re.compile(r"(?m)^# ?")
_PLACE: Final = re.compile(r"\(at line (\d+), column (\d+)\)")
_PAIR: Final = re.compile(r"[ \t]*([^=\[{#\s][^=\[{#]*?)[ \t]*=")
_LONG: Final = re.compile(r"[0-9][0-9_]{18}|0[xob]")
"""What a whole number that no i64 holds has in it."""

_CLAIM: Final = re.compile(r"[a-z][a-z0-9-]*:\S+")

SHOWN: Final = 12
"""So many places are told of one fault."""
_UNSAID: Final = {
    "E-CONFIG-UNKNOWN": "clause",
    "E-CONFIG-RANGE": "clause",
    "E-CONFIG-TYPE": "clause",
    "E-CLAUSE-UNKNOWN": "",
}
"""Codes that are said once of several places, each with the fact that its message does not have."""

Path = tuple[str | int, ...]


class _EnoughError(Exception):
    """A file has so many errors that the rest of it is not looked at."""


class ReadContract(NamedTuple):
    """What a text gave: a contract where there is no error, and every diagnostic."""

    contract: Contract | None
    diagnostics: tuple[Diagnostic, ...]
    stated: Contract | None = None
    """What each clause says by itself is sound: to be compared, also where the whole cannot be mounted here."""


def parse_toml(data: bytes, file: str) -> tuple[dict[str, Any], str] | Diagnostic:
    """A TOML document and its text, or why it cannot be read (E-FILE)."""

    def problem(variant: str, span: Span | None = None, **facts: str) -> Diagnostic:
        place = span or Span(file, 1, 1)
        return Diagnostic(code="E-FILE", variant=variant, facts={"path": file, **facts}, spans=(place,))

    if len(data) > LIMIT:
        return problem("too-large", size=str(len(data)), limit=str(LIMIT))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        start = data.rfind(b"\n", 0, error.start) + 1
        span = Span(file, line, len(data[start : error.start].decode("utf-8")) + 1)
        return problem("not-utf8", span)
    deep = longest_key(text, DEEPEST)
    if deep >= 0 or text.startswith("\ufeff"):
        deepest = Span(file, text.count("\n", 0, deep) + 1, deep - text.rfind("\n", 0, deep)) if deep >= 0 else None
        return problem("too-deep" if deep >= 0 else "bom", deepest, limit=str(DEEPEST))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _not_toml(error, text, file)
    except RecursionError:
        return problem("too-deep", limit=str(DEEPEST))
    except ValueError as error:  # a date that does not exist, an integer of thousands of digits
        return problem("bad-value", why=str(error))
    if _LONG.search(text) and (path := _too_large(document)):
        span = Source(file, text).value(*path)
        return problem("too-long", span, name=str(path[-1]))
    if _depth(document) > DEEPEST:
        return problem("too-deep", limit=str(DEEPEST))
    return document, text


def _key_before(line: str, span: Span) -> Span:
    """The key of the pair that ends at a place of a line; the place, where the pair begins in another line."""
    found = _PAIR.match(line[: span.column - 1])
    return span if found is None else span._replace(column=found.start(1) + 1, length=len(found[1]))


def _not_toml(error: tomllib.TOMLDecodeError, text: str, file: str) -> Diagnostic:
    """Why a text is not TOML, and where."""
    why = str(error)
    place = _PLACE.search(why)
    lines = text.split("\n")
    span = Span(file, int(place[1]), int(place[2])) if place else Span(file, len(lines), len(lines[-1]) + 1)
    at = sum(len(line) + 1 for line in lines[: span.line - 1]) + span.column - 1
    if found := repeated(text, file, at):
        facts = {"path": file, **found.facts}
        return Diagnostic(code="E-FILE", variant=found.variant, facts=facts, spans=found.spans, edit=found.edit)
    if why.startswith("Cannot overwrite"):  # said behind the value: the key is there already
        span = _key_before(lines[span.line - 1], span)
    why = _PLACE.sub("", why).replace("(at end of document)", "at the end of the document").strip()
    facts = {"path": file, "why": f"{why[:1].lower()}{why[1:]}"}
    return Diagnostic(code="E-FILE", variant="not-toml", facts=facts, spans=(span,))


def _depth(document: Any) -> int:
    """How deep tables and lists are nested; more than `DEEPEST` is not counted further."""
    depth, level = 0, [document]
    while level and depth <= DEEPEST:
        below = [value.values() if isinstance(value, dict) else value for value in level]
        level = [entry for values in below for entry in values if isinstance(entry, dict | list)]
        depth += 1
    return depth


def _too_large(document: dict[str, Any]) -> Path:
    """The place of a whole number that no i64 holds; empty where there is none."""
    level: list[tuple[Path, Any]] = [((), document)]
    for _ in range(DEEPEST):
        below: list[tuple[Path, Any]] = []
        for path, value in level:
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            below += [((*path, name), entry) for name, entry in pairs]
        for path, value in below:
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                return path
        level = [(path, value) for path, value in below if isinstance(value, dict | list)]
    return ()


class Script(NamedTuple):
    """The contract in a Python file: its text, its first line, and the text in which `Source` finds places."""

    text: str
    line: int
    located: str


def script_block(text: str) -> Script | None:
    """The contract in a `# /// meter` block of a Python file."""
    end = 0
    while (begin := _BEGIN.search(text, end)) is not None:
        end = begin.end()
        while (line := _COMMENT.match(text, end)) is not None and line[0]:
            if _END.fullmatch(line[0]):
                block = text[begin.end() : end]
                body = _MARK.sub("", block)  # not splitlines, which also ends lines at characters that TOML allows
                located = _MARK.sub(lambda mark: " " * len(mark[0]), block)
                return Script(body, text.count("\n", 0, begin.end()) + 1, located)
            end = line.end()
    return None


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
        spans = parsed.spans if block is None else tuple(_in_script(span, block) for span in parsed.spans)
        return ReadContract(None, (evolve(parsed, spans=spans),))
    document, text = parsed
    source = Source(file, text) if block is None else Source(file, text, first_line=block.line, located=block.located)
    return _Reader(document, source, stem).read()


def _in_script(span: Span, block: Script) -> Span:
    """A place of a script's contract as a place of the script."""
    lines = (*block.located.split("\n"), "")
    marks = len(lines[span.line - 1]) - len((*block.text.split("\n"), "")[span.line - 1])
    return span._replace(line=span.line + block.line - 1, column=span.column + marks)


def recall(document: dict[str, Any], source: Source) -> Contract | None:
    """A contract out of clauses that were read before, such as a lock keeps, as far as this meter knows them.

    Whether it could be mounted is not asked: it is there to be compared. None where a clause is of another type, or an
    obligatory one is not there. The document is changed.
    """
    reader = _Reader(document, source, "plugin")
    try:
        body = reader.clauses()
    except _EnoughError:
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
        self.found: list[Diagnostic] = []
        self.said = 0
        self.alike: dict[tuple[Any, ...], int] = {}
        """The places in `found` of what may be said of several places of the document."""
        name = document.get("name")
        self.subject = (
            f"`{name}`" if isinstance(name, str) else language().phrase("text", "contract-in", path=source.file)
        )
        placement = document.get("placement")
        known = isinstance(placement, str) and placement in language().words["placement"]
        self.placement: str | None = placement if known else None

    def say(
        self, code: str, span: Span, clause: str, variant: str = "", edit: Edit | None = None, /, **facts: str
    ) -> None:
        """Note a diagnostic at a place of the document; what was said of another one is said of both."""
        facts = {"subject": self.subject, "clause": clause, **facts}
        new = Diagnostic(code=code, facts=facts, spans=(span,), clause=clause, variant=variant, edit=edit)
        key = (code, variant, tuple(sorted(pair for pair in facts.items() if pair[0] != _UNSAID.get(code))))
        known = self.alike.setdefault(key, len(self.found)) if code in _UNSAID else len(self.found)
        if known < len(self.found):
            self.found[known] = _together(self.found[known], new)
        else:
            self.found.append(new)
        self.said += 1
        if self.said > MANY:
            raise _EnoughError

    def clauses(self) -> dict[str, Any]:
        """The whole document along its clauses; of use where nothing was found to be wrong."""
        if self.placement is not None:
            _imply(self.document, _implied(self.placement))
        return self.table((), (), self.document)

    def read(self) -> ReadContract:
        """The contract of the document, or what is wrong with it."""
        try:
            return self.whole()
        except _EnoughError:
            return ReadContract(None, tuple(cut_short(self.found, self.source.file, whole=False)))

    def whole(self) -> ReadContract:
        """The same, unless there is too much wrong with it."""
        body = self.clauses()
        if self.failed:
            return ReadContract(None, tuple(self.causes()))
        body["exports"] = {"plugin": f"{self.stem}:Plugin", **body["exports"]}
        contract = build(Contract, {**body, "source": self.source, "body": body})
        self.relations(contract)
        return ReadContract(None if self.failed else contract, tuple(self.found), contract)

    def causes(self) -> Iterator[Diagnostic]:
        """What was found; where clauses of another placement stand, what this one lacks may be no fault."""
        elsewhere = any(each.code == "E-CLAUSE-UNKNOWN" and each.variant == "placement" for each in self.found)
        for each in self.found:
            if each.code == "E-CLAUSE-MISSING" and elsewhere:
                clause = language().clauses[tuple(each.clause.split("."))]
                if clause.obligatory == self.placement:
                    continue
            yield each

    @property
    def failed(self) -> bool:
        return any(diagnostic.level == "error" for diagnostic in self.found)

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
            wanted = _SCALARS[clause.names](name)
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
        misfit = _SCALARS[item](raw)
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

    def relations(self, contract: Contract) -> None:
        """What no clause says alone: versions of the language, options that defaults, guards and templates name."""
        speaks = language()
        if contract.contract != speaks.version:
            facts = {"wanted": str(contract.contract), "got": str(speaks.version)}
            self.say("E-INTERFACE", self.source.value("contract"), "contract", "language", **facts)
        if not satisfies(parse_version(speaks.interface), contract.interface):
            facts = {"wanted": contract.interface, "got": speaks.interface}
            self.say("E-INTERFACE", self.source.value("interface"), "interface", **facts)
        if contract.alias:
            from meter.contracts.resolution import aliases  # few contracts have one

            self.found += [evolve(each, clause="alias") for each in aliases.told(contract).diagnostics]
        sound = {name for name, option in contract.config.items() if self.option(contract, name, option)}
        for place, clause in enumerate(contract.provides.metrics):
            self.parts(place, clause)
            if clause.schema is not None:
                self.beside(("provides", "metrics", place))
        for misfit in misfits(contract):
            span = self.source.key(*misfit.path)
            self.say(misfit.code, span, misfit.clause, misfit.variant, **misfit.facts)
        if contract.placement == "source" and contract.config["interval"].type != "duration":
            self.misused(contract, Use(("config", "interval", "type"), "config.*.type", "interval", ("duration",)))
        self.constraints(contract)
        uses = list(_named_options(contract))
        named = Counter(use.option for use in uses)
        for use in uses:
            if use.option not in contract.config:
                near = nearest(use.option, contract.config)
                declared = listed(sorted(contract.config))
                facts = {"plugin": contract.name, "option": use.option, "near": near, "options": declared}
                variant, span = "" if declared else "none", self.named(use)
                fits = (name for name, option in contract.config.items() if _takes(option.type, use.types))
                meant = clear(use.option, fits)
                edit = renamed(span, use.option, meant) if meant and not span.length - len(use.option) else None
                if meant and not named[meant] and named[use.option] > 1:  # then the declaration is what is misspelt
                    edit = renamed(self.source.mentions("config", meant), meant, use.option)
                self.say("E-CONFIG-UNKNOWN", span, use.clause, variant, edit, **facts)
            elif not _takes(contract.config[use.option].type, use.types):
                self.misused(contract, use)
            elif use.guard is not ABSENT and use.option in sound:
                many = isinstance(use.guard, list)
                for place, value in enumerate(use.guard if many else [use.guard]):
                    path = (*use.path, place) if many else use.path
                    self.fits(contract, use.option, value, path, use.clause)

    def parts(self, place: int, clause: MetricClause) -> None:
        """Whether the parts of a metric are values of its attributes, and none a part of itself."""
        for attribute, pairs in sorted(clause.parts.items()):
            path: Path = ("provides", "metrics", place, "parts", attribute)
            domain = clause.attributes.get(attribute)
            if domain is None:
                near = nearest(attribute, clause.attributes)
                facts = {"attribute": attribute, "near": near, "known": listed(sorted(clause.attributes))}
                self.say("E-CLAUSE-TYPE", self.source.key(*path), "provides.metrics.parts", "no-attribute", **facts)
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
                    at = self.source.value if wrong and wrong[0] != part else self.source.key
                    self.say("E-CLAUSE-TYPE", at(*path, part), "provides.metrics.parts", variant, **facts)
                    break

    def option(self, contract: Contract, name: str, option: Option) -> bool:
        """Whether the clauses of one option fit each other; says which do not."""
        path: Path = ("config", name)
        if option.type.endswith(("enum", "enum>")) and not option.values:
            values = language().clauses["config", "*", "values"]
            self.say("E-CLAUSE-MISSING", self.source.key(*path), values.name, description=values.description)
            return False
        if option.access is not None and not option.type.endswith(("path", "path>")):
            use = Use((*path, "access"), "config.*.access", name, ("path", "list<path>", "map<path>"))
            self.misused(contract, use)
        bounds = {bound: getattr(option, bound) for bound in ("min", "max")}
        item = options.item_of(option)
        if not any(fnmatchcase(item.type, pattern) for pattern in options.ORDERED):
            unbounded = [bound for bound, limit in bounds.items() if limit is not ABSENT]
            for bound in unbounded:
                self.misused(contract, Use((*path, bound), f"config.*.{bound}", name, options.ORDERED))
            if unbounded:
                return False
        free = evolve(item, min=ABSENT, max=ABSENT)
        for bounded in (free, item):  # first what each bound is, then how they stand to each other
            for bound, limit in bounds.items():
                place, clause = (*path, bound), f"config.*.{bound}"
                if limit is not ABSENT and not self.fits(contract, name, limit, place, clause, bounded):
                    return False
        place = (*path, "default")
        return option.default is ABSENT or self.fits(contract, name, option.default, place, "config.*.default", option)

    def beside(self, path: Path) -> None:
        """Note clauses of a table of metrics that stand beside one that says what they do."""
        clauses = language().below["provides", "metrics"]
        raw = self.document["provides"]["metrics"][path[-1]]
        for name, clause in sorted(clauses.items()):
            if name in raw and clause.without in raw:
                self.say("E-CLAUSE-UNKNOWN", self.source.key(*path, name), clause.name, "beside", other=clause.without)

    def constraints(self, contract: Contract) -> None:
        """Note constraints that compare what cannot be compared, such as a time with a size."""
        types = {name: option.type for name, option in contract.config.items()}
        places: list[tuple[Path, str, tuple[str, ...]]] = [(("require",), "require", contract.require)]
        places += [
            (("needs", "metrics", at, "require"), "needs.metrics.require", rule.require)
            for at, rule in enumerate(contract.needs.metrics)
        ]
        for path, clause, texts in places:
            for place, text in enumerate(texts):
                if (pair := mixed(parse_constraint(text), types)) is not None:
                    first, second = pair
                    facts = {"got": options.describe(text), "description": ""}
                    wanted = language().phrase("type", "constraint", "wanted", "mixed", first=first, second=second)
                    self.say("E-CLAUSE-TYPE", self.source.value(*path, place), clause, "mixed", wanted=wanted, **facts)

    def fits(
        self, contract: Contract, name: str, value: Any, path: Path, clause: str, option: Option | None = None
    ) -> bool:
        """Whether a value in the contract is one of an option; says why it is not."""
        try:
            options.canonical(option or contract.config[name], value)
        except options.OptionError as problem:
            place = self.source.value(*path, *problem.at)
            span = problem.narrowed(place, value)._replace(hidden=problem.hidden)
            facts = {"option": name, "instance": contract.name, **problem.facts}
            self.say(problem.code, span, clause, problem.variant, problem.edit(place, value), **facts)
            return False
        return True

    def misused(self, contract: Contract, use: Use) -> None:
        """Note that an option of this type cannot stand here."""
        facts = {
            "option": use.option,
            "type": contract.config[use.option].type,
            "types": " or ".join(use.types).replace("<*>", "<T>").replace("(*)", "(UNIT)"),
            "description": language().clauses[tuple(use.clause.split("."))].description,
        }
        self.say("E-CLAUSE-TYPE", self.named(use), use.clause, "option", **facts)

    def named(self, use: Use) -> Span:
        """Where the name of an option stands: as the key of a guard, or in a text; the whole text if it has escapes."""
        if use.path[-1] == use.option:
            return self.source.key(*use.path)
        span, raw = self.source.value(*use.path), cast("Any", self.document)
        for step in use.path:
            raw = raw[step]
        found = re.search(rf"(?<=config\.){re.escape(use.option)}(?![\w-])", raw) if isinstance(raw, str) else None
        return within(span, raw, *found.span()) if found else span


class Use(NamedTuple):
    """A place of a contract that names an option: which clause, which types it may have, the value of a guard."""

    path: Path
    clause: str
    option: str
    types: tuple[str, ...]
    guard: Any = ABSENT


_WORDS: Final = ("str", "enum", "list<str>", "list<enum>")
_METRICS: Final = ("metric", "list<metric>")
_COMPUTED: Final = (*_METRICS, *options.FORMULAS)
_NUMBERS: Final = options.ORDERED
_PUT_IN: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("keeps",): ("bool",),
    ("unit",): ("unit",),
    ("gives", "name"): ("str", "enum", "int", "float"),
    ("gives", "unit"): ("unit",),
    ("gives", "interval"): ("duration",),
    ("gives", "drop"): ("list<str>", "list<enum>"),
    ("gives", "merge"): ("enum",),
    ("gives", "attributes"): ("map<str>",),
    ("gives", "tells"): ("list<str>", "list<enum>"),
    ("drop",): ("list<str>", "list<enum>"),
}
_OF_METRIC: Final = {"schema": ("schema",), "interval": ("duration",)}
_CLAIMED: Final = ("str", "enum", "int", "path", "url")
_SCALAR: Final = (
    *("bool", "int", "float", "str", "duration", "size", "quantity(*)", "unit", "enum", "path", "url", "instance"),
    "metric",
)
_MANY: Final = ("list<*>", "map<*>")


def _constrained(base: Path, clause: str, texts: Iterable[str]) -> Iterator[Use]:
    """The options that constraints name."""
    for place, text in enumerate(texts):
        constraint = parse_constraint(text)
        for factor in (f for side in (constraint.left, constraint.right) for product in side for f in product):
            if factor.name:
                yield Use((*base, place), clause, factor.name, _MANY if factor.form == "count" else _NUMBERS)


def _put_in(base: Path, rule: RuleClause) -> Iterator[Use]:
    """The options whose values are put into a rule."""
    gives = rule.gives
    for path, types in _PUT_IN.items():
        value = getattr(gives, path[1], None) if len(path) > 1 else getattr(rule, path[0])
        for name in CONFIG.findall(value) if isinstance(value, str) else ():
            yield Use((*base, *path), ".".join(("needs", "metrics", *path)), name, types)


def _named_options(contract: Contract) -> Iterator[Use]:
    """Every option that a guard, a template or a constraint names."""
    filters = contract.role == "filter"
    yield from _constrained(("require",), "require", contract.require)
    for place, claim in enumerate(contract.claims):
        for name in CONFIG.findall(claim):
            yield Use(("claims", place), "claims", name, _CLAIMED)
    entries: list[tuple[str, int, MetricClause | RuleClause]] = [
        ("provides", place, clause) for place, clause in enumerate(contract.provides.metrics)
    ]
    entries += [("needs", place, clause) for place, clause in enumerate(contract.needs.metrics)]
    for place, need in enumerate(contract.needs.host):
        for name, guard in need.when.items():
            yield Use(("needs", "host", place, "when", name), "needs.host.when", name, _SCALAR, guard)
    for family, place, entry in entries:
        base: Path = (family, "metrics", place)
        named = "name" if isinstance(entry, MetricClause) else "metric"
        template = entry.name if isinstance(entry, MetricClause) else entry.metric
        for name, guard in entry.when.items():
            yield Use((*base, "when", name), f"{family}.metrics.when", name, _SCALAR, guard)
        for name in CONFIG.findall(template):
            types = _WORDS if isinstance(entry, MetricClause) else _COMPUTED if filters else _METRICS
            yield Use((*base, named), f"{family}.metrics.{named}", name, types)
        if not isinstance(entry, MetricClause):
            yield from _constrained((*base, "require"), "needs.metrics.require", entry.require)
            yield from _put_in(base, entry)
            continue
        for field in ("schema", "interval"):
            text = getattr(entry, field)
            for name in CONFIG.findall(text) if isinstance(text, str) else ():
                yield Use((*base, field), f"provides.metrics.{field}", name, _OF_METRIC[field])
        for attribute, domain in entry.attributes.items():
            for name in CONFIG.findall(domain) if isinstance(domain, str) else ():
                path = (*base, "attributes", attribute)
                yield Use(path, "provides.metrics.attributes", name, ("list<*>",))


def _together(first: Diagnostic, other: Diagnostic) -> Diagnostic:
    """What is said of one place, said of another one, too; the edits of both mend both."""
    spans = (*first.spans, *(span._replace(label=other.text("label")) for span in other.spans))
    edit = first.edit
    if edit is not None and other.edit is not None and other.edit != edit:
        edit = evolve(edit, changes=(*edit.changes, *other.edit.changes)) if edit.facts == other.edit.facts else None
    return evolve(first, spans=spans[:SHOWN], edit=edit if other.edit is not None else None)


def _takes(type_: str, types: Iterable[str]) -> bool:
    """Whether a type is one of some patterns of types."""
    return any(fnmatchcase(type_, pattern) for pattern in types)


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


def _is_text(raw: Any, check: Callable[[str], Any]) -> bool:
    if not isinstance(raw, str):
        return False
    try:
        return check(raw) is not False
    except ValueError:
        return False


def _scalar_types() -> dict[str, Callable[[Any], str | None]]:
    """For each scalar type a function that says what was wanted, `None` where the value fits."""

    def plain(name: str, fits: Callable[[Any], bool], **facts: str) -> Callable[[Any], str | None]:
        return lambda raw: None if fits(raw) else language().phrase("type", name, "wanted", **facts)

    def text(name: str, check: Callable[[str], Any], **facts: str) -> Callable[[Any], str | None]:
        return plain(name, lambda raw: _is_text(raw, check), **facts)

    units = language().units

    def unit(raw: str) -> bool:
        return not raw or units.parse(raw) is not None

    def named(raw: str) -> bool:
        plain = CONFIG.sub("x", raw).replace("${metric}", "x").replace(ITEM, "x")
        return selectors.METRIC.fullmatch(plain) is not None

    def texts(raw: Any) -> bool:
        return isinstance(raw, dict) and all(isinstance(value, str) for value in raw.values())

    def domain(raw: Any) -> bool:
        listed = isinstance(raw, list) and bool(raw) and all(isinstance(word, str) for word in raw)
        named = isinstance(raw, str) and (raw == "str" or CONFIG.fullmatch(raw) is not None)
        return listed or named

    def selector(raw: str) -> bool:
        if not CONFIG.fullmatch(raw):
            options.check_selector(raw)
        return True

    def constraint(raw: Any) -> str | None:
        variant, word = "", ""
        if isinstance(raw, str):
            try:
                parse_constraint(raw)
            except ConstraintError as error:
                variant, word = error.why, error.word
            else:
                return None
        return language().phrase("type", "constraint", "wanted", variant, word=word)

    kinds = ", ".join(says.get("written", word) for word, says in language().words["option"].items())
    return {
        "any": lambda _: None,
        "str": plain("str", lambda raw: isinstance(raw, str)),
        "bool": plain("bool", lambda raw: isinstance(raw, bool)),
        "int": plain("int", lambda raw: isinstance(raw, int) and not isinstance(raw, bool)),
        "name": plain("name", lambda raw: isinstance(raw, str)),
        "version": text("version", parse_version),
        "version-short": text("version-short", lambda raw: parse_version(raw, short=True)),
        "range": text("range", lambda raw: satisfies(parse_version("1.0.0"), raw) or True),
        "unit": text("unit", unit),
        "template": text("template", lambda raw: bool(selectors.METRIC.fullmatch(CONFIG.sub("x", raw, count=1)))),
        "metric-template": text("metric-template", named),
        "unit-template": text("unit-template", lambda raw: units.parse(CONFIG.sub("1", raw).replace("${unit}", "1"))),
        "duration": text("duration", parse_duration),
        "selector": text("selector", selector),
        "guard": plain("guard", lambda raw: isinstance(raw, dict)),
        "domain": plain("domain", domain),
        "constraint": constraint,
        "schema": text("schema", lambda raw: bool(CONFIG.fullmatch(raw))),
        "parts": plain("parts", texts),
        "values": plain("values", lambda raw: isinstance(raw, dict)),
        "capability": text("capability", lambda raw: raw in CAPABILITIES),
        "setting": text("setting", is_name),
        "numbers": text("numbers", intervals),
        "claim": text("claim", lambda raw: bool(_CLAIM.fullmatch(CONFIG.sub("x", raw)))),
        "entry": text("entry", lambda raw: bool(_ENTRY.fullmatch(raw))),
        "option-type": text("option-type", options.parse_type, options=kinds),
    }


class _Scalars(dict[str, Callable[[Any], str | None]]):
    """Filled on first use: the language is loaded then."""

    def __missing__(self, key: str) -> Callable[[Any], str | None]:
        self.update(_scalar_types())
        return self[key]


_SCALARS: Final = _Scalars()
