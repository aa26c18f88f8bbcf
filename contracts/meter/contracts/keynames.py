r"""Key names: hierarchical names with one spelling each, by the rules of libelektra.

A name is a sequence of parts, and a part is any text. Written down, parts are joined with `/`:

- inside a part `\` is `\\` and `/` is `\/`
- the empty part is `%`; a part that is just `%`, `.` or `..` is `\%`, `\.` or `\..`
- a part `#` and digits counts the elements of an array. It has as many `_` as it has digits behind the first, so that
  the order of texts is that of numbers: `#9`, `#_10`, `#__100`. A person may leave these out, so the text `#10` itself
  is written `\#10`

What a person types is taken as loosely as a path and made canonical. Mountpoints and the names of keys are such names.

Source: libelektra 0.11.0, src/libs/elektra/keyname.c. Unlike it, a needless escape (`\#5`) is refused everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGEST: Final = (1 << 63) - 1
"""The last element that an array can have; a larger number is a text like any other."""

_WHOLE: Final = frozenset({"%", ".", ".."})
"""Parts that mean something else unless they are escaped."""


class KeyNameError(ValueError):
    """A text is no key name (E-KEY-NAME); `part` is what cannot be in one."""

    def __init__(self, name: str, part: str) -> None:
        super().__init__(f"part {part} of the key name {name}")
        self.name = name
        self.part = part


def split(name: str) -> tuple[str, ...]:
    r"""The parts of a name as a person types it, without escapes.

    Repeated and closing `/` and the part `.` say nothing; `..` takes the part before it away, and there is nothing
    above the top. `#10` becomes the array part `#_10`. A leading `/` may be left out, as in a name that is put behind
    another.

    Raises: KeyNameError, a `\` before what needs none (`\d`, `a\#b`, `\.a`), or at the end.

    >>> split(r"/system.cpu.time//cpu/./#10/a\/b")
    ('system.cpu.time', 'cpu', '#_10', 'a/b')
    """
    parts: list[str] = []
    for segment in _segments(name):
        if segment == "..":
            del parts[-1:]
        elif segment == "%":
            parts.append("")
        elif segment not in {"", "."}:
            parts.append(array_part(segment[1:]) if _is_short(segment) else _unescaped(segment, name))
    return tuple(parts)


def join(parts: Iterable[str]) -> str:
    r"""The canonical name of some parts, with a leading `/`; no parts are the top.

    >>> join(("system.cpu.time", "", "a/b"))
    '/system.cpu.time/%/a\\/b'
    """
    return "/" + "/".join(map(escape, parts))


def complete(name: str) -> tuple[str, ...]:
    """The parts of a whole name, which begins at the top: with `/`.

    Raises: KeyNameError, as `split`, or it begins otherwise.
    """
    if not name.startswith("/"):
        raise KeyNameError(name, name.partition("/")[0])
    return split(name)


def canonical(name: str) -> str:
    """The one spelling of a whole name.

    Raises: KeyNameError, as `complete`.

    >>> canonical("/is///a//./more/../issue//.")
    '/is/a/issue'
    """
    return join(complete(name))


def tidy(name: str) -> str:
    """The one spelling of a whole name; what is no name stays as it is, to be refused where it is looked at."""
    try:
        return canonical(name)
    except KeyNameError:
        return name


def escape(part: str) -> str:
    """One part as it is written in a canonical name."""
    if part.isalnum():  # most are; nothing else here applies to these
        return part
    if not part:
        return "%"
    if part in _WHOLE or _is_short(part):
        return f"\\{part}"
    return part.replace("\\", "\\\\").replace("/", "\\/")


def array_part(digits: str) -> str:
    """The part of an element of an array, of its number in decimal digits.

    >>> array_part("10")
    '#_10'
    """
    return f"#{'_' * (len(digits) - 1)}{digits}"


def element(part: str) -> int | None:
    """The number of the element that a part names; `None` where it names none.

    >>> element("#_10"), element("#10"), element("10")
    (10, None, None)
    """
    digits = part.lstrip("#_")
    return int(digits) if is_number(digits) and part == array_part(digits) else None


def increment(part: str) -> str | None:
    """The part of the next element of an array; of the array itself, `#`, the first. `None` where there is none.

    >>> increment("#"), increment("#9"), increment("noarray")
    ('#0', '#_10', None)
    """
    if part == "#":
        return "#0"
    number = element(part)
    return None if number is None or number == LARGEST else array_part(str(number + 1))


def is_number(digits: str) -> bool:
    """Whether a text is the number of an element as it is written: decimal, without leading zeros, not too large."""
    whole = digits.isdecimal() and digits.isascii() and (digits[0] != "0" or digits == "0")
    return whole and len(digits) <= len(str(LARGEST)) and int(digits) <= LARGEST


def _is_short(segment: str) -> bool:
    """Whether this is an array part without its underscores."""
    return len(segment) > 2 and segment[0] == "#" and is_number(segment[1:])


def _segments(name: str) -> Iterator[str]:
    """The texts between the separators, escapes kept."""
    if "\\" not in name:
        yield from name.split("/")
        return
    begin = 0
    escaped = False
    for position, character in enumerate(name):
        if character == "/" and not escaped:
            yield name[begin:position]
            begin = position + 1
        escaped = character == "\\" and not escaped
    yield name[begin:]


def _unescaped(segment: str, name: str) -> str:
    """The text of one part.

    Raises: KeyNameError, something is escaped that needs it not.
    """
    if "\\" not in segment:
        return segment
    if segment[0] == "\\" and (segment[1:] in _WHOLE or _is_short(segment[1:])):
        return segment[1:]
    out: list[str] = []
    characters = iter(segment)
    for character in characters:
        if character == "\\":
            character = next(characters, "")  # noqa: PLW2901  (an escape is two characters)
            if character not in {"\\", "/"}:
                raise KeyNameError(name, segment)
        out.append(character)
    return "".join(out)
