"""What an output of another meter sends, out of that meter's plan file.

Light: a check out of the lock looks at the sender's file again, to see whether it still says the same. What it means
for a chain is worked out elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from meter.contracts.digests import canonical_bytes, digest
from meter.contracts.hops import Row, behind


class Sent(NamedTuple):
    """The metrics that reach an output, as the sender's plan has them, and the rules by which the output takes them."""

    rows: list[Row]
    rules: list[dict[str, Any]]

    @property
    def digest(self) -> str:
        """The same as long as the output sends the same."""
        return digest(canonical_bytes([self.rows, self.rules]))


def outputs(mounts: Mapping[str, Any]) -> dict[str, tuple[Mapping[str, Any], str]]:
    """The outputs of a plan file, as plan and label, by what is written behind `#` to name them: `/host#csv`.

    Raises: KeyError, TypeError; the document is none of a lock.
    """
    found = {}
    for mountpoint, entry in sorted(mounts.items()):
        for plugin in sorted(entry["plan"]["plugins"], key=lambda plugin: str(plugin["instance"])):
            if plugin["role"] == "output":
                found[f"{mountpoint}#{plugin['instance']}"] = (entry["plan"], plugin["instance"])
    return found


def chosen(names: Mapping[str, Any], wanted: str) -> list[str]:
    """Which of the outputs a text means: all where it is empty, those of a mountpoint, or one."""
    if not wanted:
        return list(names)
    return [name for name in names if wanted in (name, name.partition("#")[0])]


def sent(plan: Mapping[str, Any], label: str) -> Sent:
    """What an output of a plan sends.

    Raises: KeyError, TypeError; the document is none of a plan.
    """
    rules = next(plugin["rules"] for plugin in plan["plugins"] if plugin["instance"] == label)
    return Sent(behind(plan, label), rules)
