"""Mutations: every way in which one clause of a contract, or one word of a request, is changed.

What is done to a value depends on its type: of a clause that of CONTRACT.ini, of an option that of its contract. A
clause or option that is new is therefore changed, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from meter.contracts.language import language
from meter.contracts.model import Contract
from tests.mutations.documents import Path, nodes, removed, renamed, replaced, shown

Document = dict[str, Any]
Change = Callable[[Document], Document]
"""What makes another document of one that has what is changed."""


class Mutation(NamedTuple):
    """One change: of what kind, of which clause or word (with `*` for free names), where, of which document."""

    kind: str
    clause: str
    path: Path
    said: str
    sound: Document
    change: Change

    def document(self) -> Document:
        """What comes of it."""
        return self.change(self.sound)


MOST: Final = 4
"""So many other words of a family are tried in the place of one."""

Typed = Callable[[Path], tuple[str, str]]
"""For a path the clause, with `*` for free names, and the type of the value there; the empty text where it has none."""


def mutations(document: dict[str, Any], typed: Typed) -> Iterator[Mutation]:
    """Every mutation of a document, each of which differs from it."""
    for path, value in nodes(document):
        clause, kind = typed(path)
        for what, to, change in _at(path, value, clause, kind):
            yield Mutation(what, clause, path, f"{shown(path)}: {to}", document, change)


def _at(path: Path, value: Any, clause: str, kind: str) -> Iterator[tuple[str, str, Change]]:
    """What can be done at one place: the kind of the mutation, what it does in words, the change."""
    step = path[-1]
    yield "left out", "left out", partial(removed, path=path)
    if isinstance(step, str):
        for name in (f"{step}x", step[:-1] or "y"):
            yield "other name", f"called {name}", partial(renamed, path=path, name=name)
    wrong: Any = 7 if isinstance(value, str | dict | list) else "seven"
    yield "other type", f"{value!r:.40} -> {wrong!r}", partial(replaced, path=path, value=wrong)
    if isinstance(value, list):
        if value:
            yield "item twice", f"{value[0]!r:.40} again", partial(replaced, path=path, value=[*value, value[0]])
        if len(value) > 1 and value[0] != value[-1]:
            turned = [value[-1], *value[1:-1], value[0]]
            yield "order", "first and last change places", partial(replaced, path=path, value=turned)
    for what, other in _others(value, clause, kind):
        if other != value:
            yield what, f"{value!r:.60} -> {other!r:.60}", partial(replaced, path=path, value=other)


def _others(value: Any, clause: str, kind: str) -> Iterator[tuple[str, Any]]:
    """Other values of a type."""
    inner = re.sub(r"^(?:list|map)<(.*)>", r"\1", kind).partition("|")[0]
    if isinstance(value, bool):
        yield "flip", not value
    elif isinstance(value, int | float):
        for other in (value + 1, value * 1000 + 1, -value - 1):
            yield "number", other
    elif isinstance(value, str):
        yield from _texts(value, clause, inner)


def _texts(value: str, clause: str, kind: str) -> Iterator[tuple[str, str]]:
    """Other texts of a type; where none is known, another text."""
    if "${config." in value:
        yield "option", re.sub(r"\$\{config\.([^}]*)\}", r"${config.\1x}", value)
    if (family := _family(clause)) is not None:
        others = [word for word in family if word != value]
        yield from (("other word", word) for word in others[:: max(1, len(others) // MOST)])
        yield "no word", f"{value}x"
    else:
        yield from _KINDS.get(kind, _any)(value)


def _family(clause: str) -> Sequence[str] | None:
    """The words of an enum clause."""
    said = language().clauses.get(tuple(clause.split(".")))
    return said.values if said is not None and "enum" in said.type and said.values else None


def _any(value: str) -> Iterator[tuple[str, str]]:
    """A text without a type: what it looks like decides."""
    if re.fullmatch(r"[\d.]+(?:ns|us|ms|s|min|h|d)", value):
        yield from _duration(value)
    yield "text", f"{value} more"


def _unit(value: str) -> Iterator[tuple[str, str]]:
    """Another prefix, another dimension, no unit."""
    if "${" in value:
        yield "unit", value.replace("${unit}", "${unit}.s")
        return
    plain = value.split("{", maxsplit=1)[0] in ("", "1", "%")
    yield "prefix", "%" if plain else f"k{value}" if not value.startswith("k") else value[1:]
    yield "unit", "Pa" if value != "Pa" else "s"
    yield "unit", "joules"


def _duration(value: str) -> Iterator[tuple[str, str]]:
    number = re.match(r"[\d.]+", value)
    if number is None:  # the value of an option
        return
    yield "number", f"{float(number[0]) * 3:g}{value[number.end() :]}"
    yield "number", f"0{value[number.end() :]}"
    yield "unit left out", number[0]


def _selector(value: str) -> Iterator[tuple[str, str]]:
    """Other selectors: another name, all, none of it, with a condition less, with another value."""
    sign, rest = ("!", value[1:]) if value.startswith("!") else ("", value)
    glob, brace, conditions = rest.partition("{")
    yield "selector", f"{sign}{glob}x{brace}{conditions}"
    yield "selector", rest if sign else f"!{value}"
    if glob != "*":
        yield "selector", f"{sign}*{brace}{conditions}"
    if brace:
        yield "selector", sign + glob
        yield "selector", f"{sign}{glob}{{{re.sub(r'=[^,}]*', '=nothing', conditions)}"
    else:
        yield "selector", f"{value}{{kind=counter}}"


def _version(value: str) -> Iterator[tuple[str, str]]:
    yield "version", re.sub(r"^\d+", lambda found: str(int(found[0]) + 7), value)
    yield "version", f"v{value}"


def _range(value: str) -> Iterator[tuple[str, str]]:
    yield "range", ">=99"
    yield "range", f"{value},"
    if value != "*":
        yield "range", "*"


def _numbers(value: str) -> Iterator[tuple[str, str]]:
    yield "numbers", "<-99"
    yield "numbers", f"{value},"
    yield "numbers", re.sub("[<>=!]", "", value)


def _template(value: str) -> Iterator[tuple[str, str]]:
    yield "metric name", f"{value}x"
    yield "metric name", value.replace(".", " ") if "." in value else f"{value} x"
    if "${" in value:
        yield "metric name", re.sub(r"\$\{[^}]*\}", "fixed", value)


def _constraint(value: str) -> Iterator[tuple[str, str]]:
    turned = {">=": "<", "<=": ">", "==": "!=", "!=": "==", ">": "<=", "<": ">="}
    yield "constraint", re.sub(r"[<>=!]=|[<>]", lambda found: turned[found[0]], value, count=1)
    yield "constraint", re.sub(r"\d+(?:\.\d+)?", lambda found: str(float(found[0]) * 100 + 1), value, count=1)


def _entry(value: str) -> Iterator[tuple[str, str]]:
    yield "entry", f"{value}x"
    yield "entry", value.replace(":", ".")


def _name(value: str) -> Iterator[tuple[str, str]]:
    yield "name", f"{value}x"
    yield "name", f"My {value}"


def _size(value: str) -> Iterator[tuple[str, str]]:
    yield "unit left out", re.sub(r"[^\d.]", "", value)


_KINDS: Final[Mapping[str, Callable[[str], Iterator[tuple[str, str]]]]] = {
    "unit": _unit,
    "unit-template": _unit,
    "duration": _duration,
    "selector": _selector,
    "metric": _selector,
    "version": _version,
    "version-short": _version,
    "range": _range,
    "numbers": _numbers,
    "template": _template,
    "metric-template": _template,
    "constraint": _constraint,
    "entry": _entry,
    "name": _name,
    "size": _size,
    "path": lambda value: iter([("path", f"other-{value}"), ("path", "")]),
    "domain": lambda value: iter([("attribute value", f"{value}x")]),
    "parts": lambda value: iter([("part", f"{value}x"), ("part", "dram"), ("part", "core")]),
    "guard": lambda value: iter([("guard", f"{value}x")]),
    "claim": lambda value: iter([("claim", value.partition(":")[2]), ("claim", f"{value}1")]),
    "capability": lambda value: iter([("capability", value.lower()), ("capability", "CAP_SYS_BOOT")]),
}


# ------------------------------------------------------------------------------------------------------------ contracts


def of_contract(document: dict[str, Any]) -> Iterator[Mutation]:
    """Every mutation of a contract."""

    def typed(path: Path) -> tuple[str, str]:
        clause = clause_of(path)
        said = language().clauses.get(clause)
        if said is None:
            return ".".join(clause), ""
        kind = said.type
        if clause[:2] == ("config", "*") and kind == "any":
            option = document["config"].get(path[1])
            kind = str(option.get("type", "")) if isinstance(option, dict) else ""
        return ".".join(clause), kind

    yield from mutations(document, typed)


def clause_of(path: Path) -> tuple[str, ...]:
    """The clause that a path lies in: free names as `*`, list places and what lies below a clause left out."""
    found: tuple[str, ...] = ()
    for step in path:
        if isinstance(step, int):
            continue
        for name in (step, "*"):
            if (*found, name) in language().clauses or (*found, name) in language().below:
                found = (*found, name)
                break
        else:
            break
    return found


# ------------------------------------------------------------------------------------------------------------- requests


def of_request(document: dict[str, Any], contracts: Mapping[str, Contract]) -> Iterator[Mutation]:
    """Every mutation of a mount file, and plugins for others of their placement.

    Args: contracts, by the labels of the mount file.
    """

    def typed(path: Path) -> tuple[str, str]:
        match path:
            case ("mounts", str(), "config", str(label), str(option), *_):
                contract = contracts.get(label)
                declared = contract.config.get(option) if contract is not None else None
                return f"config.{option}", declared.type if declared is not None else ""
            case ("mounts", str(), "config", *_):
                return "config", ""
            case ("mounts", str(), str(word), *_):
                return word, language().words["request"].get(word, {}).get("type", "")
        return "mounts", ""

    yield from mutations(document, typed)
    for path, value in nodes(document):
        if path[2:3] == ("plugins",) and len(path) == 4 and isinstance(value, str):
            yield from _siblings(document, path, value, contracts)


def _siblings(
    document: dict[str, Any], path: Path, value: str, contracts: Mapping[str, Contract]
) -> Iterator[Mutation]:
    """One plugin for others of its placement."""
    plugin, mark, label = value.partition("#")
    own = contracts.get(label or plugin)
    if own is None:
        return
    same = [each for each in SIBLINGS if each != own.name]
    for other in same:
        said = f"{shown(path)}: {value} -> {other}"
        change = partial(replaced, path=path, value=f"{other}{mark}{label}")
        yield Mutation("other plugin", "plugins", path, said, document, change)


SIBLINGS: Final = ("memory", "rate", "jsonl")
"""A source, a filter and an output, each of which could be written for another plugin."""
