"""A group of commands that imports the module of a command when that command is called.

Click's own group needs every command object for `--help` and for completion. This one answers both, and the question
what an unknown word was meant to be, out of a table.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from meter.cli.help import Group, folded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import CompletionItem


_NEAR: Final = 0.65
"""How alike a name has to be to be suggested: who types `remount` does not mean `run`."""


class Entry(NamedTuple):
    """Where a command is and what it does.

    `target` is `package.module:attribute`, a click command; `help` one line without a final stop, which stands in the
    list of commands. A hidden command can be called, but is neither listed nor suggested.
    """

    target: str
    help: str
    hidden: bool = False


class LazyGroup(Group):
    """A click group with a table of commands, listed in the table's order; those added as usual come after them.

    Args: lazy, the table, by name of the command; all others are those of `click.Group`.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy: Mapping[str, Entry] = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return [*self.lazy, *(name for name in super().list_commands(ctx) if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now if the table has it; None if there is none of that name."""
        entry = self.lazy.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = entry.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command), f"{entry.target} is no command"
        return folded(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; an unknown word is a usage error that suggests near names."""
        name = str(args[0])
        normal = ctx.token_normalize_func(name) if ctx.token_normalize_func else name
        if ctx.resilient_parsing or {name, normal} & set(self.list_commands(ctx)):
            return super().resolve_command(ctx, args)
        # Raised here for all words, as click 8.1 takes `/host` for an option and shows the help instead.
        raise click.UsageError(f"No such command {name!r}.{self._suggestion(ctx, normal)}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands, as click does, from the table."""
        if rows := list(self._visible(ctx).items()):
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What may follow: names of commands from the table, and options."""
        from click.shell_completion import CompletionItem  # only while completing, as in click

        names = [
            CompletionItem(name, help=text) for name, text in self._visible(ctx).items() if name.startswith(incomplete)
        ]
        # Past `Group.shell_complete`, which would import every command.
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def _visible(self, ctx: click.Context) -> dict[str, str]:
        """Names and short help of the commands that are not hidden."""
        found = {}
        for name in self.list_commands(ctx):
            if entry := self.lazy.get(name):
                if not entry.hidden:
                    found[name] = entry.help
            elif (command := self.get_command(ctx, name)) and not command.hidden:
                found[name] = command.get_short_help_str(limit=100)
        return found

    def _suggestion(self, ctx: click.Context, name: str) -> str:
        """` Did you mean …?` with the nearest name first, or the empty text."""
        from difflib import get_close_matches  # for an error only

        names = list(self._visible(ctx))
        near = get_close_matches(name, names, cutoff=_NEAR) or [other for other in names if other.startswith(name)]
        return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
