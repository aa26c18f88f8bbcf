"""Typed configuration: what an option takes, in contract, mount file and on the command line.

Canonical values are JSON values: durations are integer nanoseconds, sizes integer bytes, everything else itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from meter.contracts import quantities, selectors
from meter.contracts.diagnostics import listed, nearest
from meter.contracts.edits import within
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Option
from meter.contracts.spans import COMMAND_LINE, Span
from meter.contracts.units import UnitError

if TYPE_CHECKING:
    from meter.contracts.formulas import Formula

_TYPE: Final = re.compile(r"(?:(list|map)<)?([a-z]+)(>)?")


class OptionError(ValueError):
    """A value does not fit its option; `code`, `variant` and `facts` make the diagnostic.

    `at` is the place inside the value; `part`, where only a part of a text is wrong, its first character, from 0, and
    the one behind its last.
    """

    def __init__(self, code: str, at: tuple[str | int, ...] = (), variant: str = "", **facts: str) -> None:
        super().__init__(code)
        self.code = code
        self.variant = variant
        self.at = at
        self.facts = facts
        self.part: tuple[int, int] | None = None

    def narrowed(self, span: Span, raw: Any) -> Span:
        """The part of a value's place that is wrong; the whole where that is not known, or cannot be told from it."""
        if self.part is None or span.file == COMMAND_LINE:  # there the place is that of `option=value`
            return span
        for step in self.at:
            raw = raw[step]
        return within(span, raw, *self.part)


@lru_cache(maxsize=256)
def parse_type(text: str) -> tuple[str, str]:
    """An option type as container (`list`, `map` or empty) and item type.

    Raises: ValueError, there is no such type.
    """
    found = _TYPE.fullmatch(text)
    if found is None or bool(found[1]) != bool(found[3]) or found[2] not in language().words["option"]:
        raise ValueError(text)
    return found[1] or "", found[2]


def item_of(option: Option) -> Option:
    """The option that takes one item of a list or map, else the option itself; `min` and `max` bound items."""
    return evolve(option, type=parse_type(option.type)[1])


def canonical(option: Option, raw: Any) -> Any:
    """The canonical form of a TOML value for an option; range and words are checked.

    Raises: OptionError, codes E-CONFIG-TYPE and E-CONFIG-RANGE.
    """
    container, item = parse_type(option.type)
    if container == "list":
        if not isinstance(raw, list):
            raise _misfit("type", "list", raw, (), "of", item=item)
        return [_checked(option, item, value, (place,)) for place, value in enumerate(raw)]
    if container == "map":
        if not isinstance(raw, dict):
            raise _misfit("type", "map", raw, (), "of", item=item)
        return {name: _checked(option, item, value, (name,)) for name, value in raw.items()}
    return _checked(option, item, raw, ())


def from_words(option: Option, texts: list[str]) -> Any:
    """A TOML value from the texts of `option=value` words; a list takes one item from each word, or a TOML array.

    Raises: OptionError, a number or bool is malformed or a single value is given twice.
    """
    import tomllib  # only words that hold a TOML array or table need it

    container, item = parse_type(option.type)
    if container and texts[0].startswith("{" if container == "map" else "[") and len(texts) == 1:
        try:
            return tomllib.loads(f"x = {texts[0]}")["x"]
        except tomllib.TOMLDecodeError:
            wanted = language().phrase("type", "toml", "wanted", type=option.type)
            help_ = language().phrase("type", "toml", "help")
            raise OptionError("E-CONFIG-TYPE", got=f"`{texts[0]}`", wanted=wanted, help=help_) from None
    if container == "list":
        return [_scalar(item, text) for text in texts]
    if container == "map":
        table: dict[str, Any] = {}
        for place, text in enumerate(texts):
            name, equals, value = text.partition("=")
            if not equals or name in table:
                raise _misfit("type", "map", text, (place,), "twice" if equals else "word")
            table[name] = _scalar(item, value)
        return table
    if len(texts) > 1:
        raise OptionError("E-CONFIG-TYPE", (1,), "twice", count=str(len(texts)))
    return _scalar(item, texts[0])


def _scalar(item: str, text: str) -> Any:
    if item == "bool" and text in ("true", "false"):
        return text == "true"
    if item == "int" and re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        return int(text)
    if item == "float":
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _checked(option: Option, item: str, raw: Any, at: tuple[str | int, ...]) -> Any:
    value = _READERS[item](raw, at)
    if item == "enum" and value not in option.values:
        raise OptionError(
            "E-CONFIG-RANGE",
            at,
            got=str(value),
            values=listed(option.values),
            near=nearest(value, option.values),
        )
    for bound, breaks in (("min", _less), ("max", _more)):
        limit = getattr(option, bound)
        if limit is ABSENT:
            continue
        if breaks(value, _READERS[item](limit, ())):
            raise OptionError("E-CONFIG-RANGE", at, bound, got=str(raw), limit=str(limit), example=_toml(limit))
    return value


def _less(value: Any, limit: Any) -> bool:
    return bool(value < limit)


def _more(value: Any, limit: Any) -> bool:
    return bool(value > limit)


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def describe(raw: Any) -> str:
    """A value as a message names it."""
    if isinstance(raw, bool):
        return f"`{str(raw).lower()}`"
    if isinstance(raw, str):
        return f'"{raw}"' if len(raw) < 60 else f'"{raw[:57]}…"'
    if isinstance(raw, list):
        return language().phrase("text", "list")
    if isinstance(raw, dict):
        return language().phrase("text", "table")
    return f"`{raw}`"


def _misfit(
    family: str, word: str, raw: Any, at: tuple[str | int, ...], variant: str = "", **facts: str
) -> OptionError:
    """E-CONFIG-TYPE, in the words of a section that says what is wanted and what to write."""
    wanted, help_ = (language().phrase(family, word, key, variant, **facts) for key in ("wanted", "help"))
    return OptionError("E-CONFIG-TYPE", at, got=describe(raw), wanted=wanted, help=help_)


def _wrong(raw: Any, at: tuple[str | int, ...], item: str, variant: str = "", **facts: str) -> OptionError:
    return _misfit("option", item, raw, at, variant, **facts)


def _bool(raw: Any, at: tuple[str | int, ...]) -> bool:
    if not isinstance(raw, bool):
        raise _wrong(raw, at, "bool")
    return raw


def _int(raw: Any, at: tuple[str | int, ...]) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise _wrong(raw, at, "int")
    if not -(2**63) <= raw < 2**63:
        raise _wrong(raw, at, "int", "long")
    return raw


def _float(raw: Any, at: tuple[str | int, ...]) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise _wrong(raw, at, "float")
    return float(raw)


def _str(raw: Any, at: tuple[str | int, ...]) -> str:
    if not isinstance(raw, str):
        raise _wrong(raw, at, "str", "number" if isinstance(raw, int | float) else "", value=str(raw))
    return raw


def _path(raw: Any, at: tuple[str | int, ...]) -> str:
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise _wrong(raw, at, "path")
    return raw


def _duration(raw: Any, at: tuple[str | int, ...]) -> int:
    return _measured(raw, at, quantities.parse_duration, "duration")


def _size(raw: Any, at: tuple[str | int, ...]) -> int:
    return _measured(raw, at, quantities.parse_size, "size")


def _measured(raw: Any, at: tuple[str | int, ...], parse: Callable[[str], int], item: str) -> int:
    """A number with its unit."""
    try:
        return parse(raw if isinstance(raw, str) else "")
    except quantities.QuantityError as error:
        bare = re.fullmatch(r"[0-9]+(\.[0-9]+)?", str(raw))
        number = bare[0] if bare else "10"
        raise _wrong(raw, at, item, number=number, expected=error.expected) from None


def _unit(raw: Any, at: tuple[str | int, ...]) -> str:
    try:
        language().units.parse(raw if isinstance(raw, str) else "")
    except UnitError:
        raise _wrong(raw, at, "unit") from None
    return str(raw)


def check_selector(text: str) -> None:
    """Read a selector and the words in its conditions.

    Raises: SelectorError, it is malformed, or a kind, type, unit, resource or consumer is not one.
    """
    for key, values in selectors.parse(text).conditions:
        family = "number" if key == "type" else key
        for value in values:
            if key == "unit":
                try:
                    language().units.parse(value)
                except UnitError:
                    raise selectors.SelectorError(text, "unit", word=value) from None
            elif family in ("kind", "number", "resource", "consumer") and value not in language().words[family]:
                words = listed(language().values(family))
                raise selectors.SelectorError(text, "word", word=value, key=key, words=words)


def _metric(raw: Any, at: tuple[str | int, ...]) -> str:
    try:
        check_selector(raw if isinstance(raw, str) else "")
    except selectors.SelectorError as error:
        why = language().phrase("text", f"selector-{error.why}", **error.facts)
        raise _wrong(raw, at, "metric", why=why) from None
    return str(raw)


def check_formula(text: str) -> Formula:
    """A formula, with its functions and the words in its conditions.

    Raises: FormulaError.
    """
    from meter.contracts.formulas import FormulaError, parse  # few requests have one

    formula = parse(text)
    for reading in formula.readings:
        if reading.function and reading.function not in language().words["function"]:
            facts = {"got": reading.function, "words": listed(language().values("function"))}
            raise FormulaError(text, reading.start, len(reading.function), "formula-function", **facts)
        try:
            check_selector(reading.selector.text)
        except selectors.SelectorError as error:
            at = text.index(reading.selector.text, reading.start + len(reading.function))
            raise FormulaError(text, at, len(reading.selector.text), f"selector-{error.why}", **error.facts) from None
    return formula


def _formula(raw: Any, at: tuple[str | int, ...]) -> str:
    from meter.contracts.formulas import FormulaError  # as above

    try:
        check_formula(raw if isinstance(raw, str) else "")
    except FormulaError as error:
        variant = "" if error.facts.get("got", "x") else "end"
        why = language().phrase("text", error.why, "text", variant, **error.facts)
        problem = _wrong(raw, at, "formula", why=why)
        if isinstance(raw, str):
            problem.part = (error.at, error.at + error.length)
        raise problem from None
    return str(raw)


_READERS: Final[Mapping[str, Callable[[Any, tuple[str | int, ...]], Any]]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": _str,
    "enum": _str,
    "path": _path,
    "duration": _duration,
    "size": _size,
    "unit": _unit,
    "metric": _metric,
    "formula": _formula,
}
