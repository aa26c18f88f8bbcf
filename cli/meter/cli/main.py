"""The entry point: the table of commands, none of which is imported before it is called."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

import click

from meter.cli.lazy import Entry, LazyGroup
from meter.core.version import __version__

COMMANDS = {
    "exec": Entry("meter.cli.commands.exec:exec_", "Measure a command"),
    "mount": Entry("meter.cli.commands.mount:mount", "Check and record a backend; without arguments list them"),
    "umount": Entry("meter.cli.commands.mount:umount", "Take a backend out"),
    "run": Entry("meter.cli.commands.run:run", "Run mounted backends until stopped"),
    "check": Entry("meter.cli.commands.check:check", "Check mounts, mount files or plugins; run nothing"),
    "explain": Entry("meter.cli.commands.explain:explain", "Say why each plugin stands where it does; explain a code"),
    "graph": Entry("meter.cli.commands.graph:graph", "Draw which metrics go from which plugin to which"),
    "diff": Entry("meter.cli.commands.diff:diff", "Say what has changed in contracts, and the version step owed"),
    "doctor": Entry("meter.cli.commands.doctor:doctor", "Say what this host can measure, and what mends the rest"),
    "plugin": Entry("meter.cli.commands.plugin:plugin", "List and inspect plugins"),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `meter exec -- COMMAND`; `meter COMMAND --help` explains each command.",
)
@click.version_option(__version__, prog_name="meter", message="%(prog)s %(version)s")
def group() -> None:
    """Measure hardware and software with chains of plugins that are checked before anything runs."""


def main() -> None:
    """Run the command line; a reader that has gone away (`| head`) and Ctrl-C are no errors of meter."""
    _open_streams()
    gc.disable()  # a command that looks at things ends before there is garbage; those that run enable it
    stdout = sys.stdout
    try:
        status = group.main(prog_name="meter", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit:
        if sys.stdout is not stdout:  # click's answer to a broken pipe, with 1, which would mean contract errors
            raise SystemExit(141) from None
        raise
    except click.exceptions.Abort:
        raise SystemExit(130) from None
    except click.ClickException as error:
        hint = ""
        if isinstance(error, click.NoSuchOption):
            error = _near(error)
            if error.ctx is not None and error.ctx.info_name == "mount" and not error.possibilities:
                hint = f"An option of a plugin is written {error.option_name.lstrip('-')}=VALUE, behind the plugin."
        with contextlib.suppress(OSError):  # nobody reads it
            error.show()
            if hint:
                click.echo(hint, err=True)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        _silence()
        raise SystemExit(141) from None
    except OSError as error:
        raise SystemExit(_failed(error)) from None
    raise SystemExit(status if isinstance(status, int) else 0)


def _near(error: click.NoSuchOption) -> click.NoSuchOption:
    """The same with those suggestions alone that are near without the dashes, which all options have."""
    from difflib import get_close_matches  # for an error only

    names = {name.lstrip("-"): name for name in error.possibilities or ()}
    near = get_close_matches(error.option_name.lstrip("-"), names)
    return click.NoSuchOption(error.option_name, error.message, [names[name] for name in near], error.ctx)


def _open_streams() -> None:
    """Stand in for standard streams that were closed (`>&-`), which Python has as None.

    /dev/null takes their numbers, so that no file that is opened later gets what is printed. A command that is started
    still finds them closed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (it stays open to the end)
    if sys.stdout.errors == "strict":  # a terminal that is not in UTF-8 has no `…`
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a TextIOWrapper


def _failed(error: OSError) -> int:
    """Say what the system refused, such as a full disk below stdout; the exit code."""
    from meter.cli import common  # only this error needs it

    common.silence()
    common.say(f"meter: {common.refusal(error, 'the output cannot be written')}")
    return common.FAILED


def _silence() -> None:
    from meter.cli import common  # as in _failed

    common.silence()
