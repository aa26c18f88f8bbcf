"""What commands share: options, printing of diagnostics, exit codes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from meter.cli import render

if TYPE_CHECKING:
    from meter.core.faults import Fault

OK: Final = 0
CONTRACT: Final = 1
STRICT: Final = 3
DRIFT: Final = 4
FAILED: Final = 5
COMMAND_LINE: Final = "<command line>"

_BY_CODE: Final = {"E-DRIFT": DRIFT, "E-LOCK-STALE": DRIFT, "E-FILE": FAILED, "E-IO": FAILED}

_ENDLESS: Final = re.compile(r"\S{500,}")

Command = TypeVar("Command", bound=Callable[..., Any])

file_option = click.option(
    "--file", "file", metavar="FILE", help="Mount file; else $METER_FILE, ./meter.toml, ~/.config/meter/meter.toml."
)
plugin_dir_option = click.option(
    "--plugin-dir",
    "plugin_dirs",
    multiple=True,
    envvar="METER_PLUGIN_DIR",
    type=click.Path(),  # splits the variable at `:`
    metavar="DIR",
    help="Folder with further plugins; may be repeated.",
)
sysroot_option = click.option(
    "--sysroot",
    envvar="METER_SYSROOT",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Read /proc and /sys below this folder.",
)
format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of output.",
)


def mount_file(explicit: str | None) -> str:
    """The mount file that is meant; `./meter.toml` where there is none yet."""
    from meter.core import environment  # a help text needs none

    return environment.mount_file(explicit)


def width() -> int:
    """Columns of the terminal, or what `COLUMNS` says; wide where output goes to a file."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    if not sys.stderr.isatty():
        return 120
    import shutil  # loads three compressors; only a terminal has a width

    return shutil.get_terminal_size((100, 24)).columns


def is_plugin(name: str, plugin_dirs: tuple[str, ...] = ()) -> bool:
    """Whether there is a plugin of that name."""
    from meter.core.discovery import discover  # the contract language, which a help text does not need

    return name in discover(plugin_dirs).catalogue.entries


def show(diagnostics: Sequence[Mapping[str, Any]], words: Sequence[str] = (), *, here: bool = True) -> None:
    """Print diagnostics to stderr.

    Args: `words` is the command line that spans count in; `here`, what mends them is done on this host.
    """
    if not diagnostics:
        return
    if here:
        diagnostics = for_here(diagnostics)
    colour = render.colour_wanted(sys.stderr)
    shown = [{**d, "message": _shortened(d["message"]), "help": _shortened(d["help"] or "")} for d in diagnostics]
    text = render.diagnostics_text(shown, colour=colour, width=width(), read=source(words))
    say(text, colour=colour)


def for_here(diagnostics: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Diagnostics whose commands call meter as it was called."""
    return [{**each, "help": called(each["help"])} if each["help"] else each for each in diagnostics]


def called(text: str) -> str:
    """A text whose commands call this meter as it was called, and install beside it.

    Nothing says that the path of a shell has it, and pip on that path may be that of another Python.
    """
    if ("$(" not in text and "pip " not in text) or not os.path.isfile(sys.argv[0]):  # as of `python -c`
        return text
    import shlex  # only what a host lacks has such commands
    from importlib.util import find_spec

    from meter.contracts.language import language

    program = language().words["text"]["program"]
    script = os.path.abspath(sys.argv[0])
    own = [sys.executable, "-m", "meter"] if os.path.basename(script) == "__main__.py" else [script]
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else ["python3", "-m", "pip", "--python", sys.executable]
    text = text.replace(program["python"], shlex.quote(os.path.realpath(sys.executable)))
    text = text.replace(program["program"], shlex.join(own))
    return re.sub(f"(^|`){program['pip']} ", lambda found: f"{found[1]}{shlex.join([*pip, 'install'])} ", text)


def source(words: Sequence[str]) -> Callable[[str], str | None]:
    """Gives the text of a file, or the command line of these words for `<command line>`; None where it cannot be read.

    Line ends stay as they are, as spans count them.
    """

    def read(file: str) -> str | None:
        if file == COMMAND_LINE:
            import shlex  # only diagnostics about words need it

            return shlex.join(words)
        try:
            with open(file, encoding="utf-8", errors="replace", newline="") as text:
                return text.read()
        except (OSError, ValueError):
            return None

    return read


def _shortened(text: str) -> str:
    """A text without the middle of words of thousands of characters."""
    return _ENDLESS.sub(lambda found: f"{found[0][:200]}…{found[0][-40:]}", text)


def fail(diagnostics: Iterable[Any], words: Sequence[str] = ()) -> int:
    """Print the diagnostics of a ContractError; the exit code that belongs to them."""
    shown = [diagnostic.to_json() for diagnostic in diagnostics]
    show(shown, words)
    return exit_code(shown)


def exit_code(diagnostics: Iterable[Mapping[str, Any]], *, strict: bool = False) -> int:
    """The exit code of some diagnostics: that of the gravest."""
    diagnostics = list(diagnostics)
    codes = {_BY_CODE.get(d["code"], CONTRACT) for d in diagnostics if d["severity"] == "error"}
    for code in (FAILED, CONTRACT, DRIFT):
        if code in codes:
            return code
    return STRICT if strict and diagnostics else OK


def dump_json(document: Any) -> None:
    """Print a JSON document to stdout, in UTF-8 whatever the terminal has."""
    import json  # tables need none

    text = json.dumps(document, indent=2, ensure_ascii=False)
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a word of a command line that is no UTF-8
        data = json.dumps(document, indent=2).encode()
    click.echo(data)


def say(text: str, *, colour: bool | None = None) -> None:
    """Print a text to stderr; that nobody reads it stops nothing."""
    try:
        click.echo(text, err=True, color=colour)
    except OSError:
        silence()


def refusal(error: OSError, otherwise: str) -> str:
    """What the system refused, in half a sentence; `otherwise` says it where no file is named."""
    why = (error.strerror or str(error)).lower()
    try:
        os.getcwd()
    except OSError:
        return "the working folder is gone; change to another one"
    return f"`{error.filename}`: {why}" if error.filename else f"{otherwise}: {why}"


def silence() -> None:
    """Lead what else is printed nowhere, so that a broken stream does not complain again at the end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with open(os.devnull, "w", encoding="utf-8") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def fault_json(fault: Fault) -> dict[str, Any]:
    """A fault of the engine as a diagnostic."""
    document = fault.diagnostic.to_json()
    document["notes"] = list(_notes(fault.clause, fault.facts))
    return document


def _notes(clause: str, facts: Mapping[str, str]) -> Iterator[str]:
    """Which clause was broken, of which metric, and where in the chain."""
    from meter.contracts.language import language  # only faults need the contract language

    if clause:
        note = "clause-of" if facts.get("metric") else "clause"
        yield language().phrase("note", note, **{**facts, "clause": clause})
    if "hop" in facts:
        place = "hop-last" if not facts["after"] else "hop-first" if not facts["before"] else "hop"
        yield language().phrase("note", place, **facts)
