"""Help of commands that can be read in a narrow terminal, too.

click folds a help for 50 columns at least, and leaves the text beside long options as little as ten.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import click

_WIDEST: Final = 80
_LEAST: Final = 20
_ROOM: Final = 24
"""Columns that the text beside a term has to have; else it stands below."""


class Formatter(click.HelpFormatter):
    """Folds a help for as many columns as there are."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        if width is None:
            import shutil  # loads three compressors; only a help has a width

            width = max(min(shutil.get_terminal_size().columns, max_width or _WIDEST) - 2, _LEAST)
        super().__init__(indent_increment, width, max_width)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Terms with their texts beside them, or below them where these had no room."""
        rows = list(rows)
        widest = min(col_max, max((len(term) for term, _ in rows), default=0))
        if self.width - self.current_indent - widest - col_spacing >= _ROOM:
            super().write_dl(rows, col_max, col_spacing)
            return
        for term, text in rows:
            self.write(f"{'':>{self.current_indent}}{term}\n")
            self.indent()
            self.indent()
            self.write_text(text)
            self.dedent()
            self.dedent()


class Context(click.Context):
    """What a command of meter is called with; its help is folded so."""

    formatter_class = Formatter


class Group(click.Group):
    """A group whose commands have such a help, and itself."""

    context_class = Context

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; None if there is none."""
        command = super().get_command(ctx, cmd_name)
        return None if command is None else folded(command)


def folded(command: click.Command) -> click.Command:
    """The command with such a help."""
    command.context_class = Context
    return command
