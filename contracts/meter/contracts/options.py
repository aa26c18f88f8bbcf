"""Typed configuration: what an option takes, in contract, mount file and on the command line.

Canonical values are JSON values: durations are integer nanoseconds, sizes integer bytes, quantities floats in the unit
of their option, everything else itself. What may be a secret is a reference and never shown where it is none.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from meter.contracts import amounts, quantities, references, selectors
from meter.contracts.diagnostics import listed, nearest
from meter.contracts.editing import spellings
from meter.contracts.editing.edits import Edit, clear, renamed, within
from meter.contracts.editing.writing import toml
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Option
from meter.contracts.spans import COMMAND_LINE, Span
from meter.contracts.units import UnitError

if TYPE_CHECKING:
    from meter.contracts.formula.formulas import Formula

FORMULAS: Final = ("formula", "map<formula>")
"""The types of an option that a rule can compute."""

_TYPE: Final = re.compile(r"(?:(list|map)<)?([a-z]+)(?:\((.+)\))?(>)?")
LABEL: Final = re.compile(r"[a-z][a-z0-9_.-]*")
"""A label of an instance."""
_QUANTITY: Final = re.compile(r"quantity\((.+)\)")
ORDERED: Final = ("int", "float", "duration", "size", "quantity(*)")
"""Types whose values can be bounded by `min` and `max`, as shell patterns."""

At = tuple[str | int, ...]
"""A place inside a value: keys of tables and numbers of items."""


class OptionError(ValueError):
    """A value does not fit its option; `code`, `variant` and `facts` make the diagnostic.

    `at` is the place inside the value; `part`, where only a part of a text is wrong, its first character, from 0, and
    the one behind its last. Where the value may be a secret `hidden` is true: its text is shown nowhere.
    """

    def __init__(self, code: str, at: At = (), variant: str = "", *, hidden: bool = False, **facts: str) -> None:
        super().__init__(code)
        self.code = code
        self.variant = variant
        self.at = at
        self.hidden = hidden
        self.facts = {"near": "", **facts}
        self.part: tuple[int, int] | None = None
        self._meant = ""

    @property
    def meant(self) -> str:
        """The text that must have been meant; the empty text where that is not certain."""
        return self._meant

    @meant.setter
    def meant(self, text: str) -> None:
        self._meant = text
        if text:
            self.facts["near"] = f"{language().phrase('text', 'near', names=f'`{text}`')} "

    def narrowed(self, span: Span, raw: Any) -> Span:
        """The part of a value's place that is wrong; the whole where that is not known, or cannot be told from it."""
        text = self._text(raw)
        return span if self.part is None or text is None else inside(span, self.at, text, self.part)

    def edit(self, span: Span, raw: Any) -> Edit | None:
        """What mends the value at its place, where that is certain."""
        text = self._text(raw)
        named = span.file == COMMAND_LINE and any(isinstance(step, str) for step in self.at)
        if text is None or not self.meant or self.hidden or named:  # a part of a word that the shell needs quoted
            return None
        start, end = self.part or (0, len(text))
        words = text[start:end], self.meant[start : len(self.meant) - len(text) + end]
        return renamed(span, text, self.meant, words)

    def _text(self, raw: Any) -> str | None:
        """The text that is wrong; None where it is no text."""
        for step in self.at:
            raw = raw[step]
        return raw if isinstance(raw, str) else None


def inside(span: Span, at: At, text: str, part: tuple[int, int]) -> Span:
    """A part of a text at a place inside a value; on the command line an item of a map stands behind `NAME=`."""
    if at and isinstance(at[-1], str) and span.file == COMMAND_LINE:
        before = len(at[-1]) + 1
        span = span._replace(column=span.column + before, length=span.length - before)
    return within(span, text, *part)


@lru_cache(maxsize=256)
def parse_type(text: str) -> tuple[str, str]:
    """An option type as container (`list`, `map` or empty) and item type, such as `int` or `quantity(W)`.

    Raises: ValueError, there is no such type.
    """
    found = _TYPE.fullmatch(text)
    if found is None or bool(found[1]) != bool(found[4]) or found[2] not in language().words["option"]:
        raise ValueError(text)
    if (found[3] is not None) != (language().words["option"][found[2]].get("takes") == "unit"):
        raise ValueError(text)
    if found[3] is None:
        return found[1] or "", found[2]
    language().units.parse(found[3])
    return found[1] or "", f"{found[2]}({found[3]})"


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
            raise _misfit("type", "list", raw, (), "of", hidden=references.is_secret(item), item=item)
        return [_checked(option, item, value, (place,)) for place, value in enumerate(raw)]
    if container == "map":
        if not isinstance(raw, dict):
            raise _misfit("type", "map", raw, (), "of", hidden=references.is_secret(item), item=item)
        return {name: _checked(option, item, value, (name,)) for name, value in raw.items()}
    return _checked(option, item, raw, ())


_COMMALESS: Final = frozenset({"bool", "int", "float", "duration", "size", "quantity"})
"""Types whose values hold no comma: who writes one means a list."""
_PARTED: Final = re.compile(r",(?![^{]*\})")
"""A comma that is in no braces, as those of a selector are."""


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
            hidden = references.is_secret(item)
            got = kind_of(texts[0]) if hidden else f"`{texts[0]}`"
            raise OptionError("E-CONFIG-TYPE", hidden=hidden, got=got, wanted=wanted, help=help_) from None
    if container == "list":
        for place, text in enumerate(texts):
            parts = _PARTED.split(text)
            if len(parts) > 1 and (item in _COMMALESS or item == "metric"):
                array = text if item in _COMMALESS else ", ".join(f'"{part}"' for part in parts)
                raise _misfit("type", "list", text, (place,), "word", text=array)
        return [_scalar(item, text) for text in texts]
    if container == "map":
        table: dict[str, Any] = {}
        for place, text in enumerate(texts):
            name, equals, value = text.partition("=")
            if not equals or name in table:
                variant = "twice" if equals else "word"
                raise _misfit("type", "map", text, (place,), variant, hidden=references.is_secret(item))
            table[name] = _scalar(item, value)
        return table
    if len(texts) > 1:
        hidden = references.is_secret(item)
        raise OptionError("E-CONFIG-TYPE", (1,), "twice", hidden=hidden, count=str(len(texts)))
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


def _checked(option: Option, item: str, raw: Any, at: At) -> Any:
    try:
        value = _read(item, raw, at)
    except OptionError as misfit:
        if option.min is not ABSENT and "help" in misfit.facts:
            misfit.facts["help"] += language().phrase("text", "at-least", limit=_toml(option.min))
        raise
    if item == "enum" and value not in option.values:
        near, values = nearest(value, option.values), listed(option.values)
        problem = OptionError("E-CONFIG-RANGE", at, got=str(value), values=values, near=near)
        problem.meant = clear(value, option.values)
        raise problem
    for bound, breaks in (("min", _less), ("max", _more)):
        limit = getattr(option, bound)
        if limit is ABSENT:
            continue
        if breaks(value, _read(item, limit, ())):
            raise OptionError("E-CONFIG-RANGE", at, bound, got=str(raw), limit=str(limit), example=_toml(limit))
    return value


def _read(item: str, raw: Any, at: At) -> Any:
    """One value of an item type, without its bounds."""
    unit = _QUANTITY.fullmatch(item)
    return _READERS[item](raw, at) if unit is None else _quantity(raw, at, unit[1])


def _less(value: Any, limit: Any) -> bool:
    return bool(value < limit)


def _more(value: Any, limit: Any) -> bool:
    return bool(value > limit)


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def example(option: Option, plugin: str) -> Any:
    """A value that an option of a plugin could have, as TOML has it: what to write in the place of `…`."""
    container, item = parse_type(option.type)
    name, _, unit = item.rstrip(")").partition("(")
    one = option.values[0] if option.values else language().words["option"][name]["example"]
    one = one.replace("${unit}", unit).replace("${plugin}", plugin)
    value = {"true": True, "1": 1, "1.5": 1.5}.get(one, one)
    if option.min is not ABSENT and name in ("int", "float", "duration", "size"):
        value = option.min
    return [value] if container == "list" else {"name": value} if container == "map" else value


def example_word(option: Option, name: str, plugin: str) -> str:
    """The word `NAME=VALUE` of a command with a value that an option of a plugin could have."""
    return word(name, example(option, plugin))


def word(name: str, value: Any) -> str:
    """The word `NAME=VALUE` of a command, of a list with its first item."""
    one = value[0] if isinstance(value, list) else value
    return shlex.quote(f"{name}={one}" if isinstance(one, str) else f"{name}={toml(one)}")


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


def kind_of(raw: Any) -> str:
    """A value as a message names it where it may not show it."""
    kind = "number" if isinstance(raw, int | float) and not isinstance(raw, bool) else "text"
    return describe(raw) if isinstance(raw, bool | list | dict) else language().phrase("text", kind)


def _misfit(
    family: str, name: str, raw: Any, at: At, variant: str = "", /, *, hidden: bool = False, **facts: str
) -> OptionError:
    """E-CONFIG-TYPE, in the words of a section that says what is wanted and what to write."""
    wanted, help_ = (language().phrase(family, name, key, variant, **facts) for key in ("wanted", "help"))
    got = kind_of(raw) if hidden else describe(raw)
    return OptionError("E-CONFIG-TYPE", at, hidden=hidden, got=got, wanted=wanted, help=help_)


def _wrong(raw: Any, at: At, item: str, variant: str = "", /, *, hidden: bool = False, **facts: str) -> OptionError:
    return _misfit("option", item, raw, at, variant, hidden=hidden, **facts)


def _bool(raw: Any, at: At) -> bool:
    if not isinstance(raw, bool):
        raise _wrong(raw, at, "bool")
    return raw


def _int(raw: Any, at: At) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise _wrong(raw, at, "int")
    if not -(2**63) <= raw < 2**63:
        raise _wrong(raw, at, "int", "long")
    return raw


def _float(raw: Any, at: At) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise _wrong(raw, at, "float")
    return float(raw)


def _str(raw: Any, at: At) -> str:
    if not isinstance(raw, str):
        raise _wrong(raw, at, "str", "number" if isinstance(raw, int | float) else "", value=str(raw))
    return raw


def _path(raw: Any, at: At) -> str:
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise _wrong(raw, at, "path")
    return raw


def _duration(raw: Any, at: At) -> int:
    return _measured(raw, at, quantities.parse_duration, spellings.duration, "duration")


def _size(raw: Any, at: At) -> int:
    return _measured(raw, at, quantities.parse_size, spellings.size, "size")


def _measured(raw: Any, at: At, parse: Callable[[str], int], spelt: Callable[[str], str], item: str) -> int:
    """A number with its unit."""
    try:
        return parse(raw if isinstance(raw, str) else "")
    except quantities.QuantityError as error:
        bare = re.fullmatch(r"[0-9]+(\.[0-9]+)?", str(raw))
        number = bare[0] if bare and float(bare[0]) else "10"  # nothing at all is seldom what an option takes
        problem = _wrong(raw, at, item, number=number, expected=error.expected)
        problem.meant = spelt(error.text)
        raise problem from None


def _quantity(raw: Any, at: At, unit: str) -> float:
    units = language().units
    try:
        return amounts.read(raw if isinstance(raw, str) else "", units.parse(unit), units)
    except amounts.AmountError as error:
        number = re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", str(raw))
        written = number[0] if number else "10"
        facts = {"unit": unit, "word": error.word, "number": written, "near": near_unit(error.word)}
        variant, meant = error.why, ""
        if isinstance(raw, str):
            meant = spellings.amount(raw) if error.why == "unit" else ""
            if error.why == "dimension" and (grouped := spellings.grouped(error.word, unit)):
                variant, meant = "grouped", raw.removesuffix(error.word) + grouped
                facts["read"] = "({}).{}".format(*error.word.rsplit(".", 1))
        problem = _wrong(raw, at, "quantity", variant, hidden=False, **facts)
        problem.meant = meant
        raise problem from None


def near_unit(text: str) -> str:
    """A question, with a blank behind it, for the units that a text may stand for; empty where none is near."""
    sure = spellings.unit(text)
    names = " or ".join(f"`{unit}`" for unit in ([sure] if sure else language().units.near(text)))
    return f"{language().phrase('text', 'near', names=names)} " if names else ""


def _unit(raw: Any, at: At) -> str:
    try:
        language().units.parse(raw if isinstance(raw, str) else "")
    except UnitError as error:
        problem = _wrong(raw, at, "unit", near=near_unit(error.text))
        problem.meant = spellings.unit(error.text)
        raise problem from None
    return str(raw)


def _secret(raw: Any, at: At) -> str:
    if not isinstance(raw, str) or references.parse_secret(raw) is None:
        raise _wrong(raw, at, "secret", hidden=True)
    return raw


def _url(raw: Any, at: At) -> str:
    try:
        references.check_url(raw if isinstance(raw, str) else "")
    except references.UrlError as error:
        raise _wrong(raw, at, "url", error.why, hidden=True) from None
    return str(raw)


def _schema(raw: Any, at: At) -> str:
    if not isinstance(raw, str) or not raw.partition("#")[0] or "\0" in raw:
        raise _wrong(raw, at, "schema")
    return raw


def _instance(raw: Any, at: At) -> str:
    if not isinstance(raw, str) or not LABEL.fullmatch(raw):
        raise _wrong(raw, at, "instance")
    return raw


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


def _metric(raw: Any, at: At) -> str:
    try:
        check_selector(raw if isinstance(raw, str) else "")
    except selectors.SelectorError as error:
        why = language().phrase("text", f"selector-{error.why}", **error.facts)
        problem = _wrong(raw, at, "metric", why=why)
        if word := _word_in(error):
            problem.part = word.span()
            problem.meant = meant_selector(error)
        raise problem from None
    return str(raw)


def _word_in(error: selectors.SelectorError) -> re.Match[str] | None:
    """The word of a condition that is none of those there are."""
    if error.why not in ("word", "unit"):
        return None
    return re.search(rf"(?<=[=|]){re.escape(error.facts['word'])}(?=[|,}}])", error.text)


def meant_selector(error: selectors.SelectorError) -> str:
    """The selector that was meant by one with a wrong word; the empty text where that is not certain."""
    found = _word_in(error)
    if found is None:
        return ""
    if error.why == "unit":
        word = spellings.unit(found[0])
    else:
        family = "number" if error.facts["key"] == "type" else error.facts["key"]
        word = clear(found[0], language().values(family))
    new = f"{error.text[: found.start()]}{word}{error.text[found.end() :]}" if word else ""
    try:
        check_selector(new)
    except selectors.SelectorError:
        return ""
    return new


def check_formula(text: str) -> Formula:
    """A formula, with its functions and the words in its conditions.

    Raises: FormulaError.
    """
    from meter.contracts.formula.formulas import FormulaError, parse  # few requests have one

    formula = parse(text)
    for reading in formula.readings:
        if reading.function and reading.function not in language().words["function"]:
            facts = {"got": reading.function, "words": listed(language().values("function"))}
            raise FormulaError(text, reading.start, len(reading.function), "formula-function", **facts)
        try:
            check_selector(reading.selector.text)
        except selectors.SelectorError as error:
            raise FormulaError(
                text, reading.at, len(reading.selector.text), f"selector-{error.why}", **error.facts
            ) from None
    return formula


def _formula(raw: Any, at: At) -> str:
    from meter.contracts.formula.formulas import FormulaError  # as above

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


_READERS: Final[Mapping[str, Callable[[Any, At], Any]]] = {
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
    "secret": _secret,
    "url": _url,
    "schema": _schema,
    "instance": _instance,
}
