"""Python distributions: their names, their versions, and ranges of these, by the rules of Python packaging.

Apart from `versions`, which knows the semantic versions of plugins. A version that the rules do not know lies in no
range but `*`. Light: a check out of the lock asks for distributions again.
Source: packaging.python.org/specifications, "Names and normalization" and "Version specifiers" (PEP 440).
"""

from __future__ import annotations

import operator
import re
from typing import Final

_COMPARISON: Final = re.compile(r"(<=|>=|==|!=|<|>)\s*(\S+)")
_OPERATORS: Final = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_VERSION: Final = re.compile(
    r"v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)"
    r"(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?([0-9]*))?"
    r"(?:-([0-9]+)|[-_.]?(post|rev|r)[-_.]?([0-9]*))?"
    r"(?:[-_.]?(dev)[-_.]?([0-9]*))?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?"
)
_STAGES: Final = {"alpha": 0, "a": 0, "beta": 1, "b": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}

Order = tuple[int, tuple[int, ...], tuple[int, int], int, tuple[int, int]]
"""Sorts versions; what a version does not have sorts where the rules say."""


def normal(name: str) -> str:
    """The one spelling of a name: `Foo.Bar_baz` is `foo-bar-baz`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def split(requirement: str) -> tuple[str, str]:
    """Name and range of `rich>=13,<15`; without a range it is `*`."""
    found = re.search(r"[<>=!]", requirement)
    return (requirement, "*") if found is None else (requirement[: found.start()], requirement[found.start() :])


def order(version: str) -> Order | None:
    """What sorts a version among others; None where it is none."""
    found = _VERSION.fullmatch(version.strip().lower())
    if found is None:
        return None
    epoch, release, stage, number, dash, post_word, post, dev_word, dev = found.groups()
    parts = [int(part) for part in release.split(".")]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    is_post = dash is not None or post_word is not None
    before = (3, 0) if stage is None else (_STAGES[stage], int(number or 0))
    if stage is None and not is_post and dev_word is not None:
        before = (-1, 0)  # a development version without a stage comes before every stage
    behind = int(dash or post or 0) if is_post else -1
    return int(epoch or 0), tuple(parts), before, behind, (1, 0) if dev_word is None else (0, int(dev or 0))


def within(version: str, wanted: str) -> bool:
    """Whether a version lies in a range such as `>=13,<15`; `*` takes all."""
    if wanted.strip() == "*":
        return True
    mine = order(version)
    for part in wanted.split(","):
        found = _COMPARISON.fullmatch(part.strip())
        limit = None if found is None else order(found[2])
        if mine is None or found is None or limit is None or not _OPERATORS[found[1]](mine, limit):
            return False
    return True
