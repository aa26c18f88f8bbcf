"""The entry point: the table of commands, none of which is imported before it is called."""

from __future__ import annotations

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
    try:
        status = group.main(prog_name="meter", standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(130) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        _silence()
        raise SystemExit(141) from None
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        raise SystemExit(141) from None
    raise SystemExit(status if isinstance(status, int) else 0)


def _silence() -> None:
    """Keep Python from complaining about the broken pipe a second time at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
