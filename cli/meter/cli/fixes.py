"""What `--fix` changed, and what it left: found by checks and edits in turn, shown as lines that went and came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import click

from meter.cli import common, render
from meter.contracts.diagnostics import ContractError
from meter.core.fixing import ROUNDS, Fixed, Fixer, Left, contracts_in


class Found(Protocol):
    """What a check found; its diagnostics are as JSON."""

    @property
    def diagnostics(self) -> list[Mapping[str, Any]]:
        """All of them."""


Checked = TypeVar("Checked", bound=Found)


class Mended(NamedTuple):
    """What was changed, and which edits were not made."""

    fixed: tuple[Fixed, ...]
    left: tuple[Left, ...]

    def to_json(self) -> dict[str, Any]:
        """What `--format json` says of it, besides what the check found."""
        return {"fixed": [each.to_json() for each in self.fixed], "unfixed": [each.to_json() for each in self.left]}

    def show(self, *, to_stderr: bool) -> None:
        """Print each change, and each edit that could not be made."""
        for each in self.fixed:
            click.echo(f"{render.visible(each.file)}:{each.line}: {render.visible(each.title)}", err=to_stderr)
            for line in each.diff:
                click.echo(f"  {line[:1]} {render.visible(line[1:])}", err=to_stderr)
        for left in self.left:
            reason = "is none of the checked files" if left.foreign else "was changed meanwhile, or would be no TOML"
            line = f"not changed, as it {reason}: {left.file}:{left.line}: {left.title}"
            common.say(render.visible(line))


def mend(check: Callable[[], Checked], files: Iterable[str], folders: Sequence[str]) -> tuple[Checked, Mended]:
    """Check and make edits in turn, until no check finds one more; what the last one found, and what was done.

    Args: `files` and the contracts in `folders` may be changed, nothing else.
    """
    fixer = Fixer([*files, *contracts_in(folders)])
    fixed: list[Fixed] = []
    found = check()
    try:
        for _ in range(ROUNDS):
            made = fixer.round(found.diagnostics)
            if not made:
                break
            fixed += made
            fixer.watch()
            found = check()
    except ContractError as error:
        found.diagnostics.extend(diagnostic.to_json() for diagnostic in error.diagnostics)
        return found, Mended(tuple(fixed), ())
    return found, Mended(tuple(fixed), tuple(fixer.left(found.diagnostics)))
