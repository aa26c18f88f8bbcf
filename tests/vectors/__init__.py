"""Vector files: cases with the result that meter must give, run against the product.

`python -m tests.vectors FILE` says of each case whether it passes. The `format` of a file names the module here that
understands it; its `outcomes` runs the cases. A case that says it is not applicable is counted and not run.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

FORMATS: Final = {
    "meter-vectors/1": "tests.vectors.cases",
    "meter-compatibility/2": "tests.vectors.compatibility",
}
"""For each format of a file the module whose `outcomes(document)` runs its cases."""


class Outcome(NamedTuple):
    """What became of a case; `wrong` is empty where it passes, and `None` where it was not run."""

    id: str
    group: str
    wrong: Sequence[str] | None

    def __str__(self) -> str:
        if self.wrong is None:
            return f"{self.id}: not applicable"
        return f"{self.id}: failed: {'; '.join(self.wrong)}" if self.wrong else f"{self.id}: passed"


def outcomes(document: Mapping[str, Any]) -> Iterator[Outcome]:
    """Run the cases of a parsed file.

    Raises: LookupError, nothing here understands the file's format.
    """
    format_ = document.get("format") if isinstance(document, Mapping) else None
    known = FORMATS.get(str(format_))
    if known is None:
        raise LookupError(f"format {format_!r}: expected one of {', '.join(FORMATS)}")
    found: Iterator[Outcome] = import_module(known).outcomes(document)
    yield from found


def table(found: Iterable[Outcome]) -> Iterator[str]:
    """How many of each group passed and failed, and of all."""
    states = [(each.group, "skipped" if each.wrong is None else "failed" if each.wrong else "passed") for each in found]
    counts = Counter(states)
    for group in dict.fromkeys(group for group, _ in states):
        yield f"{group:<20} " + ", ".join(
            f"{counts[group, state]} {state}" for state in ("passed", "failed", "skipped") if counts[group, state]
        )
    whole = Counter(state for _, state in states)
    yield f"{whole['passed']} of {whole['passed'] + whole['failed']} passed, {whole['skipped']} not applicable"


def main(arguments: Sequence[str]) -> int:
    """Run the files that are named; 0 where every case passes, 1 where one does not, 2 where a file cannot be used."""
    if not arguments:
        print("usage: python -m tests.vectors FILE...", file=sys.stderr)  # noqa: T201  a command's output
        return 2
    found: list[Outcome] = []
    for argument in arguments:
        try:
            document = json.loads(Path(argument).read_text(encoding="utf-8"))
            for outcome in outcomes(document):
                found.append(outcome)
                print(outcome)  # noqa: T201  a command's output
        except (OSError, ValueError, LookupError) as error:
            print(f"{argument}: {error}", file=sys.stderr)  # noqa: T201  a command's output
            return 2
    print("\n" + "\n".join(table(found)))  # noqa: T201  a command's output
    return 1 if any(outcome.wrong for outcome in found) else 0
