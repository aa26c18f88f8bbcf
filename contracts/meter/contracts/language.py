"""The contract language, loaded from CONTRACT.ini.

Clauses, words and the texts of diagnostics stand in that file; this module only says how they are laid out. The light
path (a warm `meter check`, help) never imports it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from attrs import field, frozen

from meter.contracts import ini, units

ABSENT: Final = object()
"""The default of a clause that has none."""

LONGEST: Final = 1000
"""Characters of a fact in a text; of a longer one only the beginning is told."""
_FACT: Final = re.compile(r"\$\{(\w+)\}")
TEXTS: Final = ("message", "label", "beside", "help")
"""The texts of a diagnostic; `beside` is the label of the places behind the first."""


@frozen(kw_only=True)
class Clause:
    """One clause: its type, whether it has to be there, where it belongs."""

    path: tuple[str, ...]
    type: str
    obligatory: str
    without: str
    default: Any
    values: tuple[str, ...]
    names: str
    """The type of the names of a map; the empty text where any will do."""
    numbers: bool
    placements: tuple[str, ...]
    stage: str
    variance: str
    lattice: str
    codes: tuple[str, ...]
    description: str
    passes: str
    fails: str

    @property
    def unless(self) -> str | None:
        """The clause of the same table in whose absence it is obligatory; `None` where there is none."""
        word, _, other = self.obligatory.partition(" ")
        return other if word == "unless" else None

    @property
    def name(self) -> str:
        """The dotted name, `*` for a free part."""
        return ".".join(self.path)


@frozen(kw_only=True)
class Code:
    """A diagnostic's level, `error` or `warning`, and its texts; `${fact}` is filled in when it is raised.

    `about` says in one sentence what it is about, without facts.
    `texts` holds them by their keys in the file: `help`, and `help.NAME` for the variant NAME. `example` is a mount
    file that is refused with the code, with contracts in tables `contracts.NAME`; `commands` lines for a shell of which
    one says it. Both are empty where the failing example of a clause shows it.
    """

    name: str
    about: str
    level: str
    texts: Mapping[str, str]
    example: str = ""
    commands: str = ""

    def text(self, which: str, variant: str = "") -> str:
        """One of its texts, in the variant where there is one of that text."""
        return self.texts.get(f"{which}.{variant}", self.texts.get(which, ""))

    def variants(self, which: str = "") -> tuple[str, ...]:
        """The variants of one of its texts, or of all."""
        keys = (key.partition(".") for key in self.texts)
        return tuple(dict.fromkeys(name for text, _, name in keys if name and which in ("", text)))


@frozen(kw_only=True)
class Language:
    """CONTRACT.ini as values. `words` maps a section family, such as `kind`, to its names and their properties."""

    version: int
    interface: str
    low: int
    """The highest sum of status scores that is doubtful in a plugin that chose itself."""
    clauses: Mapping[tuple[str, ...], Clause]
    codes: Mapping[str, Code]
    words: Mapping[str, Mapping[str, Mapping[str, str]]]
    units: units.Units = field(repr=False)
    below: Mapping[tuple[str, ...], Mapping[str, Clause]] = field(repr=False)
    """The clauses directly below a path, by the last part of their own, in the order of the file."""

    def values(self, family: str) -> tuple[str, ...]:
        """The words of a family, in the order of the file."""
        return tuple(self.words[family])

    def says(self, family: str, word: str, key: str) -> bool:
        """Whether a word's property is `yes`."""
        return self.words[family][word].get(key) == "yes"

    def rank(self, family: str, word: str) -> int:
        """The place of a word in its family."""
        return self.values(family).index(word)

    def score(self, word: str) -> int:
        """What a status word weighs; a number weighs itself."""
        says = self.words["status"].get(word)
        return int(word if says is None else says["score"])

    def worst_quality(self, *qualities: str) -> str:
        """The worst of some qualities."""
        return max(qualities, key=lambda quality: self.rank("quality", quality))

    def phrase(self, family: str, word: str, key: str = "text", variant: str = "", /, **facts: str) -> str:
        """A part of a sentence, with its facts filled in; in the variant where there is one."""
        says = self.words[family][word]
        text = says.get(f"{key}.{variant}", says.get(key, ""))
        return _FACT.sub(lambda found: _short(facts.get(found[1], found[0])), text)

    def children(self, path: tuple[str, ...]) -> Iterator[Clause]:
        """The clauses directly below a path, in the order of the file."""
        return iter(self.below.get(path, {}).values())


def fill(text: str, facts: Mapping[str, str]) -> str:
    """A text with its facts.

    Raises: KeyError, a fact is missing.
    """
    return _FACT.sub(lambda found: _short(facts[found[1]]), text)


def _short(fact: str) -> str:
    """A fact as a text has it: whoever reads a sentence does not read a megabyte of name."""
    return fact if len(fact) <= LONGEST else f"{fact[:LONGEST]}…"


def text() -> str:
    """The text of CONTRACT.ini: beside this module in a wheel, at the top of a source tree."""
    here = os.path.dirname(os.path.abspath(__file__))
    shipped = os.path.join(here, "CONTRACT.ini")
    top = os.path.join(here, "..", "..", "..", "CONTRACT.ini")
    with open(shipped if os.path.isfile(shipped) else top, encoding="utf-8") as file:
        return file.read()


@lru_cache(maxsize=1)
def language() -> Language:
    """The language of this meter, loaded once."""
    return load(text())


def load(source: str) -> Language:
    """Lay out the text of a CONTRACT.ini.

    Raises: ini.IniError, KeyError, tomllib.TOMLDecodeError; such a file is a broken installation.
    """
    families: dict[str, dict[str, dict[str, str]]] = {}
    for section, body in ini.sections(source).items():
        family, _, name = section.partition(" ")
        families.setdefault(family, {})[name] = body
    contract = families.pop("contract")[""]
    clauses = {
        clause.path: clause for clause in (_clause(name, body, families) for name, body in families["clause"].items())
    }
    below: dict[tuple[str, ...], dict[str, Clause]] = {}
    for path, clause in clauses.items():
        below.setdefault(path[:-1], {})[path[-1]] = clause
    codes = {name: _code(name, body) for name, body in families["code"].items()}
    return Language(
        version=int(contract["language"]),
        interface=contract["interface"],
        low=int(contract["low"]),
        clauses=clauses,
        codes=codes,
        words=families,
        below=below,
        units=units.load(
            {f"{family} {name}": body for family in ("unit", "prefix") for name, body in families[family].items()}
        ),
    )


_LATTICES: Final = {"list": "members", "map": "entries"}


def _code(name: str, body: dict[str, str]) -> Code:
    others = {key: body.get(key, "").strip() for key in ("about", "level", "example", "commands")}
    others["commands"] = re.sub("(?m)^[|]", "", others["commands"])  # a line that keeps its blanks
    others["level"] = others["level"] or ("error" if name.startswith("E-") else "warning")
    return Code(name=name, texts={key: text for key, text in body.items() if key not in others}, **others)


def _clause(name: str, body: dict[str, str], families: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Clause:
    values = body.get("values", "").split()
    if values[:1] == ["section"]:
        values = [word for word, says in families[values[1]].items() if says.get("declared") != "no"]
    return Clause(
        path=tuple(name.split(".")),
        type=body["type"],
        obligatory=body["obligatory"],
        without=body.get("without", ""),
        default=tomllib.loads(f"x = {body['default']}")["x"] if "default" in body else ABSENT,
        values=tuple(values),
        names=body.get("names", ""),
        numbers=body.get("numbers") == "yes",
        placements=tuple(body.get("placements", "").split()),
        stage=body["stage"],
        variance=body["variance"],
        lattice=body.get("lattice") or _LATTICES.get(body["type"].partition("<")[0], "one"),
        codes=tuple(body["codes"].split()),
        description=body["description"],
        passes=body["example.pass"],
        fails=body["example.fail"],
    )
