"""Fills pages with what CONTRACT.ini says, so that the reference cannot differ from what is executed.

A line `<!-- contract: PART -->` of a page is replaced before it is parsed; PART is `clauses`, `codes`, `units`,
`prefixes`, `rules`, or a family of words such as `kind`. Everything but `setup` works without Sphinx, which the tests
use.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meter.contracts.language import ABSENT, Clause, Code, Language, language
from meter.contracts.replacement import rulebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_MARK = re.compile(r"^<!-- contract: ([\w ]+?) -->$", re.MULTILINE)
_CODE_SPAN = re.compile(r"(`[^`]*`)")
_PUNCTUATION = re.compile(r"([\\*_\[\]<>{}$|#~^])")


def escape(text: str) -> str:
    """A text as Markdown in which only code spans mean something."""
    parts = _CODE_SPAN.split(" ".join(text.split()))
    return "".join(part if part.startswith("`") else _PUNCTUATION.sub(r"\\\1", part) for part in parts)


def code(text: str) -> str:
    """A code span; one that holds backticks is fenced with more of them."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a `|` in a cell does not end it."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(re.sub(r"(?<!\\)\|", r"\|", cell) for cell in line) + " |" for line in lines)


def target(kind: str, name: str) -> str:
    """The name of a link target."""
    return f"{kind}-{name}".lower().replace("*", "any").replace(".", "-").replace("_", "-")


def link(kind: str, name: str) -> str:
    """A link to a clause or a code."""
    return f"[`{name}`](#{target(kind, name)})"


def clauses(known: Language) -> str:
    """One section for each clause, in the order of the file."""
    return "\n\n".join(_clause(clause) for clause in known.clauses.values())


def _clause(clause: Clause) -> str:
    facts = [f"type: {code(clause.type)}"]
    if clause.values:
        facts.append("words: " + ", ".join(map(code, clause.values)))
    facts.append(f"obligatory: {_OBLIGATORY.get(clause.obligatory, f'in a {clause.obligatory}')}")
    if clause.default is not ABSENT:
        facts.append(f"default: {code(toml(clause.default))}")
    if clause.placements:
        facts.append("only in a plugin of placement " + ", ".join(map(code, clause.placements)))
    facts += [
        f"enforced in the stage {code(clause.stage)}",
        f"between versions: {code(clause.variance)}",
        "codes: " + ", ".join(link("code", name) for name in clause.codes),
    ]
    lines = [
        f"({target('clause', clause.name)})=",
        f"### {code(clause.name)}",
        "",
        escape(clause.description),
        "",
        *(f"- {fact}" for fact in facts),
        "",
        "Accepted:",
        "",
        _fenced(clause.passes),
        "",
        "Refused:",
        "",
        _fenced(clause.fails),
    ]
    return "\n".join(lines)


_OBLIGATORY = {
    "yes": "yes",
    "no": "no",
    "lint": "no, but a contract without it is warned about",
    "advised": "no, but its author is advised to state it",
}


def toml(value: Any) -> str:
    """A value as TOML has it."""
    return json.dumps(value, ensure_ascii=False)  # the same for texts, numbers, lists, and the empty table


def _fenced(text: str) -> str:
    return f"```toml\n{text.strip()}\n```"


def codes(known: Language) -> str:
    """One section for each code of a diagnostic, errors first."""
    ordered = sorted(known.codes.values(), key=lambda each: (each.level, each.name))
    return "\n\n".join(_code(each, known) for each in ordered)


def _code(each: Code, known: Language) -> str:
    causes = [link("clause", clause.name) for clause in known.clauses.values() if each.name in clause.codes]
    lines = [
        f"({target('code', each.name)})=",
        f"### {code(each.name)}",
        "",
        f"- level: {each.level}",
        f"- message: {escape(each.text('message'))}",
        f"- help: {escape(each.text('help'))}",
        *(f"- or: {escape(each.text('help', variant))}" for variant in each.variants("help")),
    ]
    if causes:
        lines.append("- clauses: " + ", ".join(causes))
    if each.example or each.commands:
        shown = _fenced(each.example) if each.example else f"```sh\n{each.commands}\n```"
        lines += ["", "An example:", "", shown]
    return "\n".join(lines)


def units(known: Language) -> str:
    """The table of units."""
    rows = [
        [
            code(name),
            escape(says["description"]),
            code(says["dimension"] or "1"),
            says.get("scale", "1"),
            _prefixes(says),
        ]
        for name, says in known.words["unit"].items()
    ]
    return table(["unit", "what it is", "dimension", "in base units", "prefixes"], rows)


def _prefixes(says: Any) -> str:
    kinds = [word for key, word in (("metric", "decimal"), ("binary", "binary")) if says.get(key) == "yes"]
    return " and ".join(kinds) or "none"


def prefixes(known: Language) -> str:
    """The table of prefixes."""
    rows = [[code(n), says["description"], says["factor"]] for n, says in known.words["prefix"].items()]
    return table(["prefix", "name", "factor"], rows)


def rules(known: Language) -> str:
    """The table of rules of replacement, by class, the best first."""
    levels: dict[str, list[list[str]]] = {word: [] for word in known.values("class")}
    for rule in rulebook.book().values():
        stated = [known.clauses[tuple(name.split("."))] for name in rule.clauses]
        of = {
            (rulebook.level_of(c, change)) for c in stated for change in rule.change if change in rulebook.outcomes(c)
        }
        for level in of:
            names = ", ".join(link("clause", name) for name in rule.clauses)
            here = known.words["fact"][rule.here]["description"] if rule.here else ""
            levels[level].append([code(rule.name), names, escape(rule.texts["help"]), here])
    headers = ["rule", "clauses", "what follows, or avoids it", "compatible-here where"]
    parts = [f"### {code(level)}\n\n{table(headers, rows)}" for level, rows in levels.items() if rows]
    return "\n\n".join(parts)


def words(known: Language, family: str) -> str:
    """The table of a family of words with their properties."""
    entries = known.words[family]
    shown = [key for key in _PROPERTIES if any(key in says for says in entries.values())]
    rows = [
        [code(name), escape(says["description"]), *(_property(says.get(key, "")) for key in shown)]
        for name, says in entries.items()
    ]
    return table(["word", "meaning", *shown], rows)


_PROPERTIES = (
    "step",
    "start",
    "more",
    "less",
    "other",
    "unit",
    "type",
    "obligatory",
    "parent",
    "role",
    "additive",
    "degree",
    "integer",
    "score",
)


def _property(value: str) -> str:
    return code(value) if value and not value.lstrip("-").isdigit() else value


_PARTS: dict[str, Callable[[Language], str]] = {
    "clauses": clauses,
    "codes": codes,
    "units": units,
    "prefixes": prefixes,
    "rules": rules,
}


def fill(page: str) -> str:
    """A page with its marks replaced.

    Raises: KeyError, a mark names neither a part nor a family of words.
    """
    known = language()

    def part(found: re.Match[str]) -> str:
        name = found[1]
        return _PARTS[name](known) if name in _PARTS else words(known, name)

    return _MARK.sub(part, page)


def setup(app: Any) -> dict[str, Any]:
    """Let Sphinx call `fill` for every page that it reads."""

    def read(_app: Any, _name: str, source: list[str]) -> None:
        source[0] = fill(source[0])

    def outdated(_app: Any, env: Any, *_: Any) -> list[str]:
        texts = {name: Path(env.doc2path(name)).read_text(encoding="utf-8") for name in env.found_docs}
        return [name for name, text in texts.items() if _MARK.search(text)]  # CONTRACT.ini may have changed

    app.connect("env-get-outdated", outdated)
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "env_version": 1}
