"""How results look: diagnostics with their source text, tables, quantities, and the forms that CI systems read.

It takes plain values, diagnostics in their JSON form, and gives text; it prints nothing and opens no files. Of the
house it imports `meter.core.shown` alone, so that a check of an unchanged mount stays light.

Every text from outside passes through `visible`: no name, message or source line can steer a terminal.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from meter.core.shown import char_columns, clip, columns, cut, quantity, visible, visible_char

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from typing import TextIO

__all__ = [
    "clip",
    "colour_wanted",
    "columns",
    "diagnostics_text",
    "github",
    "listing",
    "quantity",
    "sarif",
    "table",
    "visible",
    "wrapped",
]

_COMMAND_LINE: Final = "<command line>"  # as `meter.contracts.spans` calls it, which is not imported here
_NARROWEST: Final = 20
_HANGING: Final = 4
"""Columns by which the further lines of a remark below a table are moved in."""
_PROSE: Final = 24  # columns of a text behind a row that say what it is about
_NAME: Final = 24  # columns that a name of a table can be cut to and still be known by

WARNINGS: Final = 100
"""So many warnings are shown to a person, as many as the check says errors of one mount."""

_WORD: Final = re.compile(" +|(?:`[^`]*`|[^ ])+")
_PLAIN_WORD: Final = re.compile(" +|[^ ]+")

_BOLD: Final = "1"
_BLUE: Final = "1;34"
_STYLES: Final = {"error": "1;31", "warning": "1;33"}


def colour_wanted(stream: TextIO) -> bool:
    """Whether text for this stream may have colours.

    A non-empty `NO_COLOR` forbids them, then `FORCE_COLOR` or `CLICOLOR_FORCE` (other than `0`) asks for them, then
    a terminal that is not `dumb` has them. `click.echo` wants the answer as `color=`, else it decides anew.
    Source: no-color.org, force-color.org, bixense.com/clicolors.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def _pieces(word: str, width: int) -> list[str]:
    """A text cut into pieces of at most so many columns, each of one character at least."""
    pieces = []
    start = used = 0
    for at, char in enumerate(word):
        wide = char_columns(char)
        if used + wide > width and at > start:
            pieces.append(word[start:at])
            start, used = at, 0
        used += wide
    return [*pieces, word[start:]]


def _words(text: str, width: int, *, whole: bool) -> Iterator[str]:
    """Runs of blanks, and the words between them; what is in backticks is one, `whole` or if a line has room."""
    for word in _WORD.findall(text):
        if not whole and " " in word.strip(" ") and columns(word) > width:
            yield from _PLAIN_WORD.findall(word)
        else:
            yield word


def _wrapped(text: str, width: int, first: int | None = None, *, whole: bool = False) -> list[str]:
    """The lines of a text broken at blanks, words longer than a line anywhere; its own line ends and indents stay.

    What stands in backticks is there to be copied: it is broken only where it is longer than a line.

    Args: width, columns of a line; first, those of the first line where they are fewer; whole, what stands in backticks
        and has blanks is not broken even then, but has a line of its own.
    """
    lines: list[str] = []
    for paragraph in map(visible, text.strip("\n").split("\n")):
        body = paragraph.strip(" ")
        indent = " " * min(len(paragraph) - len(paragraph.lstrip(" ")), width // 2)
        full = width - len(indent)
        room = full if first is None or lines else min(full, first)
        line = ""
        alone = False  # whether the last line is one that was not broken
        for word in _words(body, full, whole=whole):
            if alone and not line and word.isspace():
                continue
            if columns(line) + columns(word) <= room:
                line += word
                continue
            if line or room < full:
                lines.append(f"{indent}{line}".rstrip())
                room = full
            alone = whole and " " in word.strip(" ") and columns(word) > room
            if alone:
                # A shell would take what is broken for two commands; a terminal copies a long line as one.
                lines.append(indent + word)
                line = ""
            else:
                *pieces, line = _pieces(word.lstrip(" "), room)
                lines.extend(indent + piece for piece in pieces)
        if line or not alone:
            lines.append(f"{indent}{line}".rstrip())
    return lines


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """The lines of a text broken at blanks, each moved in by some columns, which `width` does not count."""
    return [" " * indent + line for line in _wrapped(text, max(width, _NARROWEST))]


def hanging(text: str, width: int) -> list[str]:
    """The same of a text whose further lines are moved in; what stands in backticks is never broken, as in a help."""
    first, *others = _wrapped(text, max(width, _NARROWEST) - _HANGING, whole=True)
    return [first, *(" " * _HANGING + line for line in others)]


def _painted(text: str, style: str, *, colour: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colour and text else text


# --------------------------------------------------------------------------------------------------------- diagnostics


def _shown(diagnostics: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The diagnostics without the last ones of very many warnings."""
    count = 0
    for diagnostic in diagnostics:
        count += diagnostic["severity"] == "warning"
        if diagnostic["severity"] != "warning" or count <= WARNINGS:
            yield diagnostic


def diagnostics_text(
    diagnostics: Sequence[Mapping[str, Any]], *, colour: bool, width: int, read: Callable[[str], str | None]
) -> str:
    """Diagnostics for a person: message, lines of the source with what is pointed at, notes, help; then their number.

    Of very many warnings only the first are shown, and it is said how many are not; of errors the check says no more.
    Of several spans the first is underlined with `^`, the others with `-`. No line is longer than `width` (at least
    20) but those that name a file. A line with a `hidden` span is not shown, whoever points at it. No line end at the
    end; no diagnostics give the empty text.

    Args: diagnostics, in the form of `meter check --format json`, shown in their order; read, the text of a file, or
        the command line for `<command line>`, or None where there is none, so that only the place is named.
    """
    if not diagnostics:
        return ""
    hidden = {(s["file"], s["line"]) for d in diagnostics for s in d.get("spans") or () if s.get("hidden")}
    page = _Page(colour=colour, width=max(width, _NARROWEST), read=read, hidden=hidden)
    blocks = ["\n".join(page.diagnostic(diagnostic)) for diagnostic in _shown(diagnostics)]
    return "\n\n".join([*blocks, page.summary(diagnostics)])


class _Line:
    """A line of a source text as it is shown, and in which columns its characters stand."""

    def __init__(self, text: str) -> None:
        pieces = [visible_char(char) for char in text]
        self._starts = [0, *accumulate(map(columns, pieces))]
        self.text = "".join(pieces)

    def range(self, column: int, length: int) -> tuple[int, int]:
        """First and last column (from 0, exclusive) of so many characters from one on (from 1), one column at least.

        A combining character is shown with the one before it; what lies behind the line is cut off.
        """
        first = min(max(column, 1), len(self._starts)) - 1
        last = min(first + max(length, 1), len(self._starts) - 1)
        while 0 < first < last and self._starts[first] == self._starts[first + 1]:
            first -= 1
        return self._starts[first], max(self._starts[last], self._starts[first] + 1)

    def cut(self, start: int, stop: int, wanted: int, room: int) -> tuple[str, int, int]:
        """The text, or what fits around the columns from `start` on.

        Args: stop, where these columns end; wanted, how many columns from `start` on should be shown if possible.
        Returns: text; by how many columns it was moved to the left; the column of the line behind the last one shown.
        """
        total = max(self._starts[-1], stop)
        if total <= room:
            return self.text, 0, total
        kept = room - 2  # one `…` on each side
        left = start - max(0, kept - wanted) // 2
        if left <= 1:
            return cut(self.text, 0, room - 1) + "…", 0, room - 1
        if left + kept + 1 >= total:
            left = total - room + 1
            return "…" + cut(self.text, left, total), left - 1, total
        return f"…{cut(self.text, left, left + kept)}…", left - 1, left + kept


class _Page:
    """Where diagnostics are drawn: its width and colours, and the source texts read so far."""

    def __init__(
        self, *, colour: bool, width: int, read: Callable[[str], str | None], hidden: AbstractSet[tuple[str, int]]
    ) -> None:
        self._colour = colour
        self._width = width
        self._read = read
        self._hidden = hidden
        self._sources: dict[str, list[str]] = {}

    def diagnostic(self, diagnostic: Mapping[str, Any]) -> Iterator[str]:
        """The lines of one diagnostic."""
        severity = diagnostic["severity"]
        yield from self._headline(severity, diagnostic["code"], diagnostic["message"])
        spans = diagnostic.get("spans") or []
        shown = [span["line"] for span in spans if self._source(span) is not None]
        gutter = len(str(max(shown, default=1)))
        yield from self._places(spans, _STYLES.get(severity, _BOLD), gutter)
        for note in diagnostic.get("notes") or []:
            yield from self._remark("note", note, gutter)
        if diagnostic.get("help"):
            yield from self._remark("help", diagnostic["help"], gutter)

    def summary(self, diagnostics: Sequence[Mapping[str, Any]]) -> str:
        """How many there are of each severity, errors first."""
        severities = [diagnostic["severity"] for diagnostic in diagnostics]
        counts = {severity: severities.count(severity) for severity in dict.fromkeys([*_STYLES, *severities])}
        return ", ".join(
            self._paint(f"{count} {severity}{'s' * (count > 1)}", _STYLES.get(severity, _BOLD))
            + (f" ({count - WARNINGS} of them not shown)" if severity == "warning" and count > WARNINGS else "")
            for severity, count in counts.items()
            if count
        )

    def _headline(self, severity: str, code: str, message: str) -> Iterator[str]:
        title = visible(f"{severity}[{code}]")
        first, *others = _wrapped(message, self._width - 4, max(0, self._width - columns(title) - 2))
        yield self._paint(title, _STYLES.get(severity, _BOLD)) + self._paint(f": {first}".rstrip(), _BOLD)
        for line in others:
            yield self._paint(f"    {line}".rstrip(), _BOLD)

    def _remark(self, word: str, text: str, gutter: int) -> Iterator[str]:
        indent = gutter + len(f" = {word}: ")
        first, *others = _wrapped(text, max(8, self._width - indent), whole=True)
        yield f"{' ' * gutter} {self._paint('=', _BLUE)} {self._paint(word, _BOLD)}: {first}".rstrip()
        for line in others:
            yield f"{' ' * indent}{line}".rstrip()

    def _places(self, spans: Sequence[Mapping[str, Any]], style: str, gutter: int) -> Iterator[str]:
        """The spans of one diagnostic, those of one file together."""
        arrow = "-->"
        groups: dict[tuple[str, bool], list[Mapping[str, Any]]] = {}
        for span in spans:
            groups.setdefault((span["file"], self._source(span) is not None), []).append(span)
        for (file, known), group in groups.items():
            for span in group[:1] if known else group:
                place = visible(f"{file}:{span['line']}:{span['column']}")
                yield f"{' ' * gutter} {self._paint(arrow, _BLUE)} {place}"
                arrow = ":::"
            if known:
                marked = [(span, "^", style) if span is spans[0] else (span, "-", _BLUE) for span in group]
                yield from self._snippet(marked, gutter)

    def _snippet(self, marked: Sequence[tuple[Mapping[str, Any], str, str]], gutter: int) -> Iterator[str]:
        """The lines of one file with what is marked below each, given as span, mark and style."""
        margin = self._paint(" " * gutter + " |", _BLUE)
        room = self._width - gutter - 3
        yield margin
        number = 0
        drawn = None
        for span, mark, style in sorted(marked, key=lambda item: item[0]["line"]):
            if number and span["line"] > number + 1:
                yield self._paint("...", _BLUE)
            if span["line"] != number:
                number, drawn = span["line"], None
            line = _Line(self._source(span) or "")
            start, stop = line.range(span.get("column", 1), span.get("length", 1))
            label = span.get("label") or ""
            text, moved, end = line.cut(start, stop, stop - start + 1 + columns(visible(label)), room)
            if text != drawn:
                yield f"{self._paint(f'{number:>{gutter}} |', _BLUE)} {text}".rstrip()
            drawn = text
            for row in _underlined(start - moved, mark * (min(stop, end) - start), label, room):
                indent = len(row) - len(row.lstrip(" "))
                yield f"{margin} {row[:indent]}{self._paint(row[indent:], style)}" if row else margin

    def _source(self, span: Mapping[str, Any]) -> str | None:
        """The line that a span points at, None where it cannot be read or may hold a secret."""
        file, number = span["file"], span["line"]
        if (file, number) in self._hidden:
            return None
        if file not in self._sources:
            text = self._read(file)
            if text is None:
                self._sources[file] = []
            else:  # a word of the command line may have line ends, and columns count across them
                self._sources[file] = [text] if file == _COMMAND_LINE else text.split("\n")
        lines = self._sources[file]
        return lines[number - 1].removesuffix("\r") if 1 <= number <= len(lines) else None

    def _paint(self, text: str, style: str) -> str:
        return _painted(text, style, colour=self._colour)


def _underlined(start: int, marks: str, label: str, room: int) -> list[str]:
    """The rows below a source line: the marks, and the label behind them or, where it is too long, below."""
    row = " " * start + marks
    rows = _wrapped(label, room)
    widest = max(map(columns, rows))
    if len(rows) == 1 and len(row) + 1 + widest <= room:
        return [f"{row} {rows[0]}".rstrip()]
    indent = " " * max(0, min(start, room - widest))
    return [row, *(f"{indent}{text}".rstrip() for text in rows)]


# -------------------------------------------------------------------------------------------------------------- tables


def table(
    rows: Sequence[Sequence[str]],
    headers: Sequence[str],
    *,
    align: str = "",
    width: int | None = None,
    colour: bool = False,
) -> str:
    """Rows in columns with two blanks between them, below their headers (none if all are empty).

    Where the whole is wider than `width`, the widest text columns are cut with `…` down to four columns each;
    numbers are never cut, so a table of numbers may stay wider. A missing cell is empty.

    Args: align, for each column `l` for text, `m` for names, of which one may have it, or `r` for numbers; `l` where it
        ends. A name is cut in its middle, as its end tells rows apart. Where that would leave too little of it, or what
        another name is cut to, it stands whole above its row.
    """
    shown = [headers, *rows] if any(headers) else rows
    count = max(map(len, shown), default=0)
    cells = [[visible(cell) for cell in row] + [""] * (count - len(row)) for row in shown]
    align = align.ljust(count, "l")
    widths = [max(columns(row[place]) for row in cells) for place in range(count)]
    above: set[str] = set()
    names = align.find("m", 0, count)
    if width is not None:
        whole, widths = widths, _shrunk(widths, align, width - 2 * (count - 1))
        if names >= 0:
            if widths[names] < min(_NAME, whole[names]):
                # The names have a line of their own, so that the other columns may keep theirs.
                left = width - 2 * (count - 1) - sum(whole) + whole[names]
                whole[names] = min(whole[names], max(4, left))
                widths = _shrunk(whole, align, width - 2 * (count - 1))
            above = _above([row[names] for row in cells], widths[names])
    lines: list[str] = []
    for row in cells:
        head = shown is not rows and not lines
        alone = names >= 0 and row[names] in above
        found = _alone(row[: names + 1], widths, align, width or 0) if alone else []
        rest = [""] * (names + 1) + row[names + 1 :] if alone else row
        found.append("  ".join(map(_justified, rest, widths, align)).rstrip())
        lines += [_painted(line, _BOLD, colour=colour and head) for line in found]
    return "\n".join(lines)


def listing(rows: Sequence[Sequence[str]], headers: Sequence[str], *, width: int, prose: bool = False) -> str:
    """A table in which nothing is cut; where that has no room, row by row: the first cell, the others below it.

    Args: prose, the last cell is a text: of a table it may be cut, and below a row it has lines of its own.
    """
    whole = [max(columns(visible(cell)) for cell in column) for column in zip(headers, *rows, strict=True)]
    if prose:
        whole[-1] = min(whole[-1], _PROSE)
    if sum(whole) + 2 * (len(whole) - 1) <= width:
        return table(rows, headers, width=width)
    room = width - _HANGING
    lines: list[str] = []
    for first, *others in rows:
        text = [others.pop()] if prose else []
        said = [f"{header} {cell}" for header, cell in zip(headers[1:], others, strict=False) if cell]
        lines += wrapped(first, width)
        lines += [line for part in [", ".join(said), *text] if part for line in wrapped(part, room, _HANGING)]
    return "\n".join(lines)


def _above(names: Sequence[str], width: int) -> set[str]:
    """The names that cannot be cut to a width: it is too small for any, or two of them would look the same."""
    wider = {name for name in names if columns(name) > width}
    if width < _NAME:
        return wider
    looks = Counter(_middle(name, width) for name in set(names))
    return {name for name in wider if looks[_middle(name, width)] > 1}


def _alone(row: Sequence[str], widths: Sequence[int], align: str, width: int) -> list[str]:
    """The lines of a row up to its last cell, which has all the columns that are left."""
    before = [_justified(cell, wide, side) + "  " for cell, wide, side in zip(row[:-1], widths, align, strict=False)]
    start = "".join(before)
    first, *others = _wrapped(row[-1], max(4, width - columns(start)))
    return [(start + first).rstrip(), *(" " * columns(start) + line for line in others)]


def _shrunk(widths: Sequence[int], align: str, room: int) -> list[int]:
    """The widths with the widest of the text columns made narrower, down to four, until they fit or none is left."""
    found = list(widths)
    text = [place for place in range(len(found)) if align[place] != "r"]
    while text and sum(found) > room:
        place = max(text, key=found.__getitem__)
        if found[place] <= 4:
            break
        found[place] -= 1
    return found


def _middle(text: str, width: int) -> str:
    """A text without its middle, should it be wider: two thirds of what is left are of its end."""
    whole = columns(text)
    if whole <= width:
        return text
    end = (width - 1) * 2 // 3
    return f"{cut(text, 0, width - 1 - end)}…{cut(text, whole - end, whole)}"


def _justified(text: str, width: int, side: str) -> str:
    text = _middle(text, width) if side == "m" else clip(text, width)
    blanks = " " * (width - columns(text))
    return blanks + text if side == "r" else text + blanks


# ------------------------------------------------------------------------------------------------------- CI and editors


def github(diagnostics: Iterable[Mapping[str, Any]]) -> str:
    """Diagnostics as commands of a GitHub workflow, one a line; notes and help are further lines of the message.

    Source: docs.github.com, Workflow commands for GitHub Actions; escapes as in actions/toolkit
        packages/core/src/command.ts.
    """
    return "\n".join(map(_github, diagnostics))


def _github(diagnostic: Mapping[str, Any]) -> str:
    properties = {"title": diagnostic["code"]}
    for span in (diagnostic.get("spans") or [])[:1]:
        if span["file"] != _COMMAND_LINE:
            properties = {"file": span["file"], "line": span["line"], "col": span["column"], **properties}
    listed = ",".join(
        f"{name}={_github_escaped(str(value)).replace(':', '%3A').replace(',', '%2C')}"
        for name, value in properties.items()
    )
    return f"::{_level(diagnostic, 'notice')} {listed}::{_github_escaped(_whole_text(diagnostic))}"


def _github_escaped(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return visible(escaped)


def _level(diagnostic: Mapping[str, Any], otherwise: str) -> str:
    severity = diagnostic["severity"]
    return severity if severity in _STYLES else otherwise


def _whole_text(diagnostic: Mapping[str, Any]) -> str:
    notes = [f"note: {note}" for note in diagnostic.get("notes") or []]
    helped = [f"help: {diagnostic['help']}"] if diagnostic.get("help") else []
    return "\n".join([diagnostic["message"], *notes, *helped])


def sarif(diagnostics: Iterable[Mapping[str, Any]], version: str, read: Callable[[str], str | None]) -> dict[str, Any]:
    """Diagnostics as a SARIF 2.1.0 log, a JSON value; an edit is a fix of its result.

    Files below the working folder have relative addresses; places on the command line have none.

    Args: version, that of meter; read, as for `diagnostics_text`.
    Source: OASIS, Static Analysis Results Interchange Format 2.1.0; regions 3.30, columns 3.14.17, addresses 3.10,
        fixes 3.55.
    """
    found = list(diagnostics)
    levels = {diagnostic["code"]: _level(diagnostic, "note") for diagnostic in found}
    codes = sorted(levels)
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "meter",
                        "version": version,
                        "rules": [{"id": code, "defaultConfiguration": {"level": levels[code]}} for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    {**_sarif_result(diagnostic, codes), **_sarif_fixes(diagnostic.get("edit"), read)}
                    for diagnostic in found
                ],
            }
        ],
    }


def _sarif_result(diagnostic: Mapping[str, Any], codes: list[str]) -> dict[str, Any]:
    spans = [(place, span) for place, span in enumerate(diagnostic.get("spans") or []) if span["file"] != _COMMAND_LINE]
    result: dict[str, Any] = {
        "ruleId": diagnostic["code"],
        "ruleIndex": codes.index(diagnostic["code"]),
        "level": _level(diagnostic, "note"),
        "message": {"text": _whole_text(diagnostic)},
        "locations": [_sarif_location(span) for place, span in spans if place == 0],
    }
    related = [_sarif_location(span) for place, span in spans if place > 0]
    return {**result, "relatedLocations": related} if related else result


def _sarif_fixes(edit: Mapping[str, Any] | None, read: Callable[[str], str | None]) -> dict[str, Any]:
    """The property `fixes` of a result; none where there is no edit, or one of the command line."""
    changes = [] if edit is None else edit["changes"]
    texts = {change["file"]: read(change["file"]) for change in changes if change["file"] != _COMMAND_LINE}
    if edit is None or any(texts.get(change["file"]) is None for change in changes):
        return {}
    by_file: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        region = _region(texts[change["file"]] or "", change)
        replacement = {"deletedRegion": region, "insertedContent": {"text": change["text"]}}
        by_file.setdefault(change["file"], []).append(replacement)
    artifacts = [
        {"artifactLocation": {"uri": _address(file)}, "replacements": replacements}
        for file, replacements in by_file.items()
    ]
    return {"fixes": [{"description": {"text": edit["title"]}, "artifactChanges": artifacts}]}


def _region(text: str, change: Mapping[str, Any]) -> dict[str, int]:
    """The characters that a change replaces; the end is the column behind the last one, empty where it begins there."""
    lines = text.split("\n")
    line, column, length = change["line"], change["column"], change["length"]
    end, rest = line, column + length
    while end < len(lines) and rest > len(lines[end - 1]) + 1:
        rest -= len(lines[end - 1]) + 1
        end += 1
    return {"startLine": line, "startColumn": column, "endLine": end, "endColumn": rest}


def _sarif_location(span: Mapping[str, Any]) -> dict[str, Any]:
    physical = {
        "artifactLocation": {"uri": _address(span["file"])},
        # Without an end a region reaches to the end of the line; where that is, the span does not say.
        "region": {"startLine": max(1, span["line"]), "startColumn": max(1, span["column"])},
    }
    label = {"message": {"text": span["label"]}} if span.get("label") else {}
    return {"physicalLocation": physical, **label}


def _address(file: str) -> str:
    """A file as a URI reference: relative where it lies below the working folder."""
    from pathlib import Path  # both load much of urllib, which this form only needs
    from urllib.parse import quote

    path = Path(file)
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return ("file://" if path.is_absolute() else "") + quote(path.as_posix(), errors="surrogateescape")
