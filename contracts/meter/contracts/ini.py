"""The dialect of CONTRACT.ini, read in one pass.

That of configparser without interpolation, with the delimiter `=`, comments of whole lines behind `;`, names in the
case that they are written in, and options that begin in the first column; tests hold this reader against configparser
itself, which takes ten times as long and would be a tenth of each cold check.
"""

from __future__ import annotations


class IniError(ValueError):
    """A line is no part of the dialect; the text names the line."""


def sections(text: str) -> dict[str, dict[str, str]]:
    """The options of each section; a value of several lines has no indentation and no blank lines at its end.

    Raises: IniError, a line is neither section, option nor a value's, or a section or an option is there twice.
    """
    found: dict[str, dict[str, str]] = {}
    body: dict[str, str] | None = None
    open_: list[str] | None = None  # the lines of the value that may go on
    option = ""

    def close() -> None:
        if body is not None and open_ is not None:
            body[option] = "\n".join(open_).rstrip() if len(open_) > 1 else open_[0]

    for number, line in enumerate(text.split("\n"), start=1):
        said = line.strip()
        if not said:
            if open_ is not None:
                open_.append("")
        elif said[0] == ";":
            continue
        elif line[0].isspace():
            if open_ is None:
                raise IniError(f"line {number}: it belongs to no option")
            open_.append(said)
        elif said[0] == "[" and said[-1] == "]":
            close()
            open_ = None
            name = said[1:-1]
            if name in found:
                raise IniError(f"line {number}: section {name} is there twice")
            body = found[name] = {}
        else:
            close()
            name, equals, value = said.partition("=")
            option = name.rstrip()
            if body is None or not equals or not option or option in body:
                raise IniError(f"line {number}: no option of a section, or one that is there twice")
            body[option] = ""
            open_ = [value.lstrip()]
    close()
    return found
