"""Formulas: arithmetic over metrics, `hw.energy{domain=package} * sum(process.cpu.time) / sum(system.cpu.time)`.

    formula  = term   { ("+" | "-") term }
    term     = factor { ("*" | "/") factor }
    factor   = NUMBER | "(" formula ")" | selector | FUNCTION "(" selector ")"

A selector names its metric without a wildcard. `.` and `-` between letters, digits and `_` are part of a name, so that
a difference has blanks around its sign; `/` always divides. There is no sign before a factor. Which functions there
are, and which words the conditions may hold, stands in the contract language; this module knows the grammar only, and
the running engine can read a formula without that language.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final, NamedTuple

from meter.contracts import selectors
from meter.contracts.selectors import Selector, SelectorError

LONGEST: Final = 1000
"""Characters of the longest formula."""
DEEPEST: Final = 20
"""Parentheses that may be open at a time, so that whoever walks a tree need not fear for its stack."""

_BLANK: Final = re.compile(r"\s*")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[.-]+[A-Za-z0-9_]+)*")
_CONDITIONS: Final = re.compile(r"\{[^{}]*\}")
_BEGINS_WILD: Final = re.compile(r"[?\[]|\*[.\w{]")
_GOES_ON_WILD: Final = re.compile(r"\.?[?\[]|\.\*")
_WORD: Final = re.compile(r"[^\s+*/(){}-]+|\S?")


class FormulaError(ValueError):
    """A formula cannot be read; `why` names the section [text WHY] that says how, with its facts.

    `at`, from 0, and `length` are the place in the text. The fact `got` is empty where the text has ended.
    """

    def __init__(self, text: str, at: int, length: int, why: str, **facts: str) -> None:
        super().__init__(f"{text}: {why}")
        self.text: Final = text
        self.at: Final = at
        self.length: Final = length
        self.why: Final = why
        self.facts: Final = facts


class Number(NamedTuple):
    """A number as it is written; it stands at `[start, end)` of the text, as every node does."""

    start: int
    end: int
    value: float


class Reading(NamedTuple):
    """A selector that stands at `at`, and the function around it; `place` is its own in `Formula.readings`."""

    start: int
    end: int
    at: int
    selector: Selector
    function: str
    place: int

    @property
    def named(self) -> tuple[int, int]:
        """Where the selector stands, without its function."""
        return self.at, self.at + len(self.selector.text)


class Product(NamedTuple):
    """Factors, each with 1 or, behind a `/`, -1. At least two."""

    start: int
    end: int
    factors: tuple[tuple[int, Node], ...]


class Sum(NamedTuple):
    """Terms, each with 1 or, behind a `-`, -1. At least two."""

    start: int
    end: int
    terms: tuple[tuple[int, Node], ...]


Node = Number | Reading | Product | Sum


class Formula(NamedTuple):
    """A formula that was read: the tree, and its selectors in the order in which they are written."""

    text: str
    root: Node
    readings: tuple[Reading, ...]


@lru_cache(maxsize=1024)
def parse(text: str) -> Formula:
    """A formula from its text.

    Raises: FormulaError.

    >>> [reading.selector.text for reading in parse("sum(a{k=v}) / b-c").readings]
    ['a{k=v}', 'b-c']
    """
    if len(text) > LONGEST:
        raise FormulaError(text, LONGEST, len(text) - LONGEST, "formula-long", limit=str(LONGEST))
    return _Reader(text).read()


class _Reader:
    """Reads one text by recursive descent; `_at` is the position of the next character that is no blank."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open = 0
        self._readings: list[Reading] = []
        self._blank()

    def read(self) -> Formula:
        root = self._sum()
        if self._at < len(self._text):
            raise self._unexpected("formula-operator")
        if not self._readings:
            raise FormulaError(self._text, root.start, root.end - root.start, "formula-constant")
        return Formula(self._text, root, tuple(self._readings))

    def _sum(self) -> Node:
        terms: list[tuple[int, Node]] = [(1, self._product())]
        while (sign := self._peek()) in ("+", "-"):
            self._step(1)
            terms.append((-1 if sign == "-" else 1, self._product()))
        return terms[0][1] if len(terms) == 1 else Sum(terms[0][1].start, terms[-1][1].end, tuple(terms))

    def _product(self) -> Node:
        factors: list[tuple[int, Node]] = [(1, self._factor())]
        while (sign := self._peek()) in ("*", "/"):
            self._step(1)
            factor = self._factor()
            if sign == "/" and isinstance(factor, Number) and not factor.value:
                raise FormulaError(self._text, factor.start, factor.end - factor.start, "formula-zero")
            factors.append((-1 if sign == "/" else 1, factor))
        return factors[0][1] if len(factors) == 1 else Product(factors[0][1].start, factors[-1][1].end, tuple(factors))

    def _factor(self) -> Node:
        start = self._at
        if self._peek() == "(":
            return self._parentheses()
        if number := _NUMBER.match(self._text, start):
            value = float(number[0])
            if not math.isfinite(value):
                raise FormulaError(self._text, start, len(number[0]), "formula-number")
            self._step(len(number[0]))
            return Number(start, number.end(), value)
        name = _NAME.match(self._text, start)
        if name is None:
            raise self._unexpected("formula-operand")
        behind = self._behind(name.end())
        if not self._text.startswith("(", behind):
            selector = self._selector()
            return self._reading(start, start + len(selector.text), start, selector)
        self._step(behind + 1 - start)
        at = self._at
        selector = self._selector()
        return self._reading(start, self._close(), at, selector, name[0])

    def _parentheses(self) -> Node:
        start = self._at
        self._open += 1
        if self._open > DEEPEST:
            raise FormulaError(self._text, start, 1, "formula-deep", limit=str(DEEPEST))
        self._step(1)
        inner = self._sum()
        end = self._close()
        self._open -= 1
        return inner._replace(start=start, end=end)

    def _reading(self, start: int, end: int, at: int, selector: Selector, function: str = "") -> Reading:
        reading = Reading(start, end, at, selector, function, len(self._readings))
        self._readings.append(reading)
        return reading

    def _selector(self) -> Selector:
        start = self._at
        name = _NAME.match(self._text, start)
        if name is None:
            raise self._unexpected("formula-selector")
        end = name.end()
        if self._text.startswith("{", end):
            conditions = _CONDITIONS.match(self._text, end)
            if conditions is None:
                raise FormulaError(self._text, end, len(self._text) - end, "formula-brace")
            end = conditions.end()
        elif wild := _GOES_ON_WILD.match(self._text, end):
            raise FormulaError(self._text, start, wild.end() - start, "formula-wildcard")
        try:
            selector = selectors.parse(self._text[start:end])
        except SelectorError as error:
            raise FormulaError(self._text, start, end - start, f"selector-{error.why}", **error.facts) from None
        self._step(end - start)
        return selector

    def _close(self) -> int:
        """Behind the `)` that has to stand here."""
        if self._peek() != ")":
            raise self._unexpected("formula-close")
        end = self._at + 1
        self._step(1)
        return end

    def _unexpected(self, why: str) -> FormulaError:
        """That something else was expected here."""
        word = _WORD.match(self._text, self._at)
        got = word[0] if word else ""
        if why in ("formula-operand", "formula-selector"):
            if _BEGINS_WILD.match(self._text, self._at):
                why = "formula-wildcard"
            elif got in ("+", "-"):
                why = "formula-sign"
        return FormulaError(self._text, self._at, max(1, len(got)), why, got=got)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _step(self, characters: int) -> None:
        self._at += characters
        self._blank()

    def _blank(self) -> None:
        self._at = self._behind(self._at)

    def _behind(self, at: int) -> int:
        """Behind the blanks that stand here."""
        blank = _BLANK.match(self._text, at)
        return blank.end() if blank else at
