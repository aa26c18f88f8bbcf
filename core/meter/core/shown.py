"""How names and numbers look to a person: texts without control characters, their width on a terminal, quantities.

It takes plain values and gives text. Of the house it imports nothing, so that light commands stay light. Every text
from outside passes through `visible`: no name, message or source line can steer a terminal.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final
from unicodedata import category, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAB: Final = "    "

_PREFIXES: Final = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY: Final = {"": 1.0, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60}
_WHOLE: Final = {prefix: factor for prefix, factor in _PREFIXES.items() if factor >= 1}
_PART: Final = {prefix: factor for prefix, factor in _PREFIXES.items() if factor <= 1}

_PREFIXED: Final = ("A", "C", "F", "Hz", "J", "N", "Pa", "V", "W", "cal", "eV", "g", "m", "mol")
# Units that are shown with another prefix than they were measured in: how they are written, and the prefixes.
_SCALED: Final[Mapping[str, tuple[str, Mapping[str, float]]]] = {
    "By": ("B", _BINARY),
    "bit": ("bit", _WHOLE),
    "s": ("s", _PART),
    "Ohm": ("Ω", _PREFIXES),
    "W.h": ("Wh", _PREFIXES),
    **{unit: (unit, _PREFIXES) for unit in _PREFIXED},
}
_WRITTEN: Final = {"Cel": "°C", "[degF]": "°F", "[ppm]": "ppm"}
_EXACT: Final = 100_000  # counts below it keep every digit


def visible(text: str) -> str:
    r"""A text in one line in which nothing hides: what cannot be printed is written as `\x1b`, a tab as four blanks.

    So are line ends, blanks other than the usual one and characters that turn the direction of writing.
    """
    return text if text.isprintable() else "".join(map(visible_char, text))


def visible_char(char: str) -> str:
    """One character of `visible`, which may be several."""
    if char.isprintable():
        return char
    return _TAB if char == "\t" else char.encode("unicode_escape").decode("ascii")


def columns(text: str) -> int:
    """The columns that a visible text takes on a terminal: 0 for a combining character, 2 for a wide one.

    Source: Unicode Standard Annex 11, East Asian Width; ambiguous characters are narrow.
    """
    return len(text) if text.isascii() else sum(map(char_columns, text))


def char_columns(char: str) -> int:
    """The columns of one character."""
    # Vowels and final consonants of Hangul join the syllable before them, though they are letters.
    if category(char) in {"Mn", "Me"} or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def clip(text: str, width: int) -> str:
    """A visible text in at most `width` columns; where it is longer it ends in `…`."""
    return text if columns(text) <= width else cut(text, 0, max(0, width - 1)).rstrip() + "…" * (width > 0)


def cut(text: str, left: int, right: int) -> str:
    """What stands in these columns; a wide character of which they hold half is a blank."""
    if text.isascii():
        return text[left:right]
    found = []
    start = 0
    for char in text:
        wide = char_columns(char)
        if start + wide > right:
            found.append(" " * (right - start))
            break
        if start >= left and (wide or start > left or not left):
            found.append(char)
        else:
            found.append(" " * (start + wide - left))
        start += wide
    return "".join(found)


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit for a person: three digits that matter and a prefix, `1.23 ms`, `1.5 MiB`, `440 J`.

    Bytes have binary prefixes, seconds none above 1, plain numbers and counts none below 100000. A count is written
    without its word (`{packet}`), a rate of counts with it (`12.3 packet/s`). A unit that is not known stays as it is.
    Returns: `-` for a missing value.
    """
    if value is None:
        return "-"
    head, slash, tail = unit.partition("/")
    word = visible(" ".join(re.findall(r"\{([^{}]*)\}", head)))
    base = re.sub(r"\{[^{}]*\}", "", head)
    per = slash + visible(re.sub(r"[{}]", "", tail))
    if base in {"", "1"}:
        prefix, text = _scaled(value, _WHOLE if abs(value) >= _EXACT else {"": 1.0})
        named = f"{prefix} {word if slash else ''}".strip()
    else:
        factor, symbol, steps = _unit(base)
        prefix, text = _scaled(value * factor, steps)
        named = f"{'µ' if prefix == 'u' else prefix}{symbol} {word}".rstrip()
    return f"{text} {named}{per}".rstrip()


def _unit(base: str) -> tuple[float, str, Mapping[str, float]]:
    """For a unit without annotations: the factor to the unit without prefix, how that is written, its prefixes."""
    if base in _SCALED:
        return (1.0, *_SCALED[base])
    for prefix, factor in (_PREFIXES | _BINARY).items():
        if prefix and base.startswith(prefix) and base[len(prefix) :] in _SCALED:
            return (factor, *_SCALED[base[len(prefix) :]])
    return 1.0, _WRITTEN.get(base, visible(base)), {"": 1.0}


def _scaled(value: float, steps: Mapping[str, float]) -> tuple[str, str]:
    """The prefix of the largest step that the value reaches once it is rounded, and the value in it."""
    if value == 0 or not math.isfinite(value):
        return "", f"{abs(value) if value == 0 else value:g}"
    reached = [prefix for prefix, factor in steps.items() if abs(value) >= 0.9995 * factor]
    prefix = reached[-1] if reached else next(iter(steps))
    scaled = value / steps[prefix]
    return prefix, f"{scaled:.0f}" if 999.5 <= abs(scaled) < 1e7 else f"{scaled:.3g}"
