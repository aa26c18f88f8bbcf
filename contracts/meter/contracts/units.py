"""Units of metrics: the part of UCUM that telemetry writes, read against tables that are given.

A unit has a dimension, which decides whether two of them can be compared, and a scale, which says by how much values
differ. Which units and prefixes there are stands in the contract language; this module knows the grammar only.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Dimension = tuple[tuple[str, int], ...]
"""Base dimensions with their exponents: sorted by name, none zero; empty is dimensionless."""

LONGEST: Final = 100
"""Characters of the longest text that is read as a unit, which bounds how deep its parentheses are."""

_NUMBER: Final = re.compile(r"[0-9]+")
_FRACTION: Final = re.compile(r"\.[0-9]")
_SYMBOL: Final = re.compile(r"(?:\[[^\[\]\s]+\]|[^\s0-9.\/(){}\[\]+-])+")
_EXPONENT: Final = re.compile(r"[+-]?[0-9]{1,2}")
_ANNOTATION: Final = re.compile(r"\{[^{}]+\}")
_BASE: Final = re.compile(r"([A-Za-z]+)([+-]?[0-9]+)?")
_PARTS: Final = re.compile(r"[./]|(?:[^./{\[]|\{[^}]*\}|\[[^\]]*\])+")

# The factor between any two units is then a finite number other than 0, as a 64 bit float ends at about 1e±308.
_LARGEST: Final = 10**150
_SMALLEST: Final = Fraction(1, _LARGEST)


class UnitError(ValueError):
    """A text is no unit, or two units have no factor.

    `text` is the unit as written; `at`, from 0, the position of the first character that cannot be read.
    """

    def __init__(self, text: str, at: int) -> None:
        super().__init__(text, at)
        self.text: Final = text
        self.at: Final = at


class Atom(NamedTuple):
    """A unit without prefix: a value v in it is `scale * v + offset` in base units (kg m s A K mol By rad).

    `metric` takes the prefixes that are powers of ten, `binary` also those that are powers of two.
    """

    dimension: Dimension
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    metric: bool = False
    binary: bool = False
    description: str = ""


class Prefix(NamedTuple):
    """A factor with a name; a `binary` one stands before binary atoms only."""

    factor: Fraction
    binary: bool = False
    description: str = ""


class Unit(NamedTuple):
    """What a unit text means: a value v in it is `scale * v + offset` in base units.

    `ratio` and `shift` are exact, `scale` and `offset` the nearest floats. Two texts of one unit (`W`, `J/s`) differ in
    `text` only. An `offset` other than 0 (`Cel`, `[degF]`) makes values comparable with those in `K`, yet no factor
    leads from one to the other.
    """

    dimension: Dimension
    ratio: Fraction
    shift: Fraction = Fraction(0)
    text: str = ""

    @property
    def scale(self) -> float:
        """`ratio` as a float, other than 0 and finite."""
        return float(self.ratio)

    @property
    def offset(self) -> float:
        """`shift` as a float, in base units."""
        return float(self.shift)


class Units:
    """Units read against one pair of tables; what was read once is remembered."""

    def __init__(self, atoms: Mapping[str, Atom], prefixes: Mapping[str, Prefix]) -> None:
        self.atoms: Final = atoms
        self.prefixes: Final = prefixes
        self._parse = lru_cache(maxsize=1024)(partial(parse, atoms=atoms, prefixes=prefixes))

    def parse(self, text: str) -> Unit:
        """The unit that a text means; raises UnitError."""
        return self._parse(text)

    def near(self, text: str) -> list[str]:
        """Units that a text which is none may stand for, at most three: by its name, by its letters, by likeness."""
        import difflib  # only a fault looks for what was meant
        from itertools import product as pairs

        word = text.strip().casefold()
        if not word or len(word) > LONGEST:
            return []
        symbols = list(self.atoms)
        names = {_word(atom.description): [symbol] for symbol, atom in self.atoms.items()}
        for (start, prefix), (symbol, atom) in pairs(self.prefixes.items(), self.atoms.items()):
            if atom.binary if prefix.binary else atom.metric:
                symbols.append(f"{start}{symbol}")
                names[_word(prefix.description) + _word(atom.description)] = [f"{start}{symbol}"]
        for symbol in symbols:
            names.setdefault(symbol.casefold(), []).append(symbol)
        for spelling in (word, word.removesuffix("s"), word.removesuffix("es")):
            if spelling in names:
                return names[spelling][:3]
        return [names[name][0] for name in difflib.get_close_matches(word, names, n=3, cutoff=0.75)]


def load(sections: Mapping[str, Mapping[str, str]]) -> Units:
    """Units of the sections `unit NAME` and `prefix NAME`; sections of other names are passed over.

    A unit has `dimension` (base dimensions with exponents, blanks between them; left out: dimensionless), `scale` and
    `offset` (decimal or fraction), `metric` and `binary` (`yes` or `no`); a prefix has `factor` and `binary`.
    Raises: KeyError, a prefix has no factor; ValueError, a number or dimension cannot be read.
    """
    return Units(
        atoms={
            name.removeprefix("unit "): Atom(
                dimension=_dimension(section.get("dimension", "")),
                scale=Fraction(section.get("scale", "1")),
                offset=Fraction(section.get("offset", "0")),
                metric=_yes(section, "metric"),
                binary=_yes(section, "binary"),
                description=section.get("description", ""),
            )
            for name, section in sections.items()
            if name.startswith("unit ")
        },
        prefixes={
            name.removeprefix("prefix "): Prefix(
                factor=Fraction(section["factor"]),
                binary=_yes(section, "binary"),
                description=section.get("description", ""),
            )
            for name, section in sections.items()
            if name.startswith("prefix ")
        },
    )


def parse(text: str, atoms: Mapping[str, Atom], prefixes: Mapping[str, Prefix]) -> Unit:
    """The unit that a text in UCUM's case-sensitive form means.

    Products `.` and quotients `/` from left to right (`g/kW.h` is `(g/kW).h`), a leading `/`, whole exponents (`m2`,
    `s-1`) of at most two digits, parentheses, whole numbers as factors, and annotations, which are worth 1 alone
    (`{packet}`) and change nothing behind a unit (`W{dc}`). A unit with an offset stands alone: neither `Cel/s` nor
    `Cel2` is one. `1.5`, which would be 1 times 5, is refused.
    Raises: UnitError, also for a scale beyond 1e±150 and for more than `LONGEST` characters.
    Source: The Unified Code for Units of Measure, ucum.org/ucum: grammar of units, special units on non-ratio scales.
    """
    if len(text) > LONGEST:
        raise UnitError(text, LONGEST)
    unit = _Reader(text, atoms, prefixes).read()
    if not _SMALLEST <= unit.ratio <= _LARGEST:
        raise UnitError(text, 0)
    return unit._replace(text=text)


def commensurable(a: Unit, b: Unit) -> bool:
    """Whether values in `a` and `b` measure the same thing, so that they can be compared; `Cel` and `K` are."""
    return a.dimension == b.dimension


def conversion(a: Unit, b: Unit) -> tuple[float, float]:
    """Factor and summand that make a value in `b` of one in `a`; each the float nearest to the exact one.

    Raises: UnitError with the text of `a`, if the two are not commensurable.

    >>> watt = Unit((("kg", 1), ("m", 2), ("s", -3)), Fraction(1), text="W")
    >>> conversion(watt, watt._replace(ratio=Fraction(1000), text="kW"))
    (0.001, 0.0)
    """
    if not commensurable(a, b):
        raise UnitError(a.text, 0)
    return float(a.ratio / b.ratio), float((a.shift - b.shift) / b.ratio)


def product(factors: Iterable[tuple[Unit, int]]) -> Unit:
    """The unit of a product of values, each with the exponent 1 or, where it divides, -1; exact.

    Its `text` is a unit of the same meaning, in which what divides itself is left out: J times s by s is `J`. It is the
    same in whatever order the factors come, and can be read only as long as it has at most `LONGEST` characters.
    Raises: UnitError with the text of the factor that has an offset (`Cel`), or of the product whose scale is beyond
    1e±150.

    >>> joule = Unit((("kg", 1), ("m", 2), ("s", -2)), Fraction(1), text="J")
    >>> second = Unit((("s", 1),), Fraction(1), text="s")
    >>> product([(joule, 1), (second, -1)]).text
    'J/s'
    """
    ratio = Fraction(1)
    dimension: dict[str, int] = {}
    parts: dict[str, int] = {}
    for unit, exponent in factors:
        if unit.shift:
            raise UnitError(unit.text, 0)
        ratio *= unit.ratio**exponent
        for base, power in unit.dimension:
            dimension[base] = dimension.get(base, 0) + power * exponent
        for part, power in _parts(unit.text):
            parts[part] = parts.get(part, 0) + power * exponent
    text = _written(parts)
    if not _SMALLEST <= ratio <= _LARGEST:
        raise UnitError(text, 0)
    return Unit(_canonical(dimension), ratio, text=text)


def _parts(text: str) -> Iterator[tuple[str, int]]:
    """A unit text as factors with their exponents, 1 or -1; one with parentheses is a factor as a whole."""
    if "(" in text:
        yield f"({text})", 1
        return
    sign = 1
    for part in _PARTS.findall(text):
        if part in {".", "/"}:
            sign = -1 if part == "/" else 1
        elif part != "1":
            yield part, sign


def _written(parts: Mapping[str, int]) -> str:
    """A product as a unit text, sorted; a factor that occurs twice is written twice, numbers above are one."""
    above = [part for part, power in sorted(parts.items()) for _ in range(power)]
    numbers = [int(part) for part in above if part.isdigit()]
    if len(numbers) > 1:  # `10.10` would be a fraction
        above = [str(math.prod(numbers)), *(part for part in above if not part.isdigit())]
    below = [part for part, power in sorted(parts.items()) for _ in range(-power)]
    return (".".join(above) or ("" if below else "1")) + "".join(f"/{part}" for part in below)


class _Factor(NamedTuple):
    """A part of a product: its exponent is -1 behind a `/`."""

    unit: Unit
    exponent: int
    at: int


_ONE: Final = Unit((), Fraction(1))


class _Reader:
    """Reads one text by recursive descent; `_at` is the position of the next character."""

    def __init__(self, text: str, atoms: Mapping[str, Atom], prefixes: Mapping[str, Prefix]) -> None:
        self._text = text
        self._atoms = atoms
        self._prefixes = prefixes
        self._at = 0

    def read(self) -> Unit:
        sign = -1 if self._take("/") else 1
        unit = self._term(sign)
        if self._at < len(self._text):
            raise UnitError(self._text, self._at)
        return unit

    def _term(self, sign: int) -> Unit:
        at = self._at
        factors = [_Factor(self._component(), sign, at)]
        while (operator := self._peek()) in {".", "/"}:
            self._at += 1
            at = self._at
            factors.append(_Factor(self._component(), -1 if operator == "/" else 1, at))
        if len(factors) == 1 and factors[0].exponent == 1:
            return factors[0].unit
        return self._product(factors)

    def _component(self) -> Unit:
        at = self._at
        if self._take("("):
            unit = self._term(1)
            if not self._take(")"):
                raise UnitError(self._text, self._at)
            return unit
        if self._match(_ANNOTATION):
            return _ONE
        if number := self._match(_NUMBER):
            if not int(number):
                raise UnitError(self._text, at)
            if _FRACTION.match(self._text, self._at):
                raise UnitError(self._text, self._at)
            unit = _ONE._replace(ratio=Fraction(int(number)))
        elif symbol := self._match(_SYMBOL):
            unit = self._simple(symbol, at)
            if exponent := self._match(_EXPONENT):
                unit = self._product([_Factor(unit, int(exponent), at)]) if int(exponent) != 1 else unit
        else:
            raise UnitError(self._text, at)
        self._match(_ANNOTATION)
        return unit

    def _simple(self, symbol: str, at: int) -> Unit:
        """The unit of a symbol; one that is an atom as it stands is not read as prefix and atom."""
        if atom := self._atoms.get(symbol):
            return Unit(atom.dimension, atom.scale, atom.offset)
        for length in range(1, len(symbol)):
            atom = self._atoms.get(symbol[length:])
            prefix = self._prefixes.get(symbol[:length])
            if atom and prefix and (atom.binary if prefix.binary else atom.metric):
                return Unit(atom.dimension, atom.scale * prefix.factor, atom.offset)
        raise UnitError(self._text, at)

    def _product(self, factors: list[_Factor]) -> Unit:
        ratio = Fraction(1)
        dimension: dict[str, int] = {}
        for unit, exponent, at in factors:
            if unit.shift:
                raise UnitError(self._text, at)
            ratio *= unit.ratio**exponent
            for base, power in unit.dimension:
                dimension[base] = dimension.get(base, 0) + power * exponent
        return Unit(_canonical(dimension), ratio)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> bool:
        taken = self._peek() == character
        self._at += taken
        return taken

    def _match(self, pattern: re.Pattern[str]) -> str:
        """What the pattern matches here, stepped over; empty where it does not."""
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]


def _dimension(text: str) -> Dimension:
    dimension: dict[str, int] = {}
    for word in text.split():
        match = _BASE.fullmatch(word)
        if match is None:
            raise ValueError(text)
        dimension[match[1]] = dimension.get(match[1], 0) + int(match[2] or 1)
    return _canonical(dimension)


def _canonical(dimension: Mapping[str, int]) -> Dimension:
    return tuple(sorted((base, power) for base, power in dimension.items() if power))


def _word(description: str) -> str:
    """The name in front of a description: `watt`, `day` of `day of 24 hours`."""
    return re.split(r"[;,]| of ", description, maxsplit=1)[0].casefold()


def _yes(section: Mapping[str, str], option: str) -> bool:
    word = section.get(option, "no")
    if word not in {"yes", "no"}:
        raise ValueError(word)
    return word == "yes"
