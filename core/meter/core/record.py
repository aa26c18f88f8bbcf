"""Host facts in a file: what `meter doctor --format json` writes on one machine, and a check reads on another."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from itertools import chain, count
from typing import Any, Final

from meter.contracts.diagnostics import ContractError, Diagnostic
from meter.contracts.host import Recorded
from meter.contracts.spans import Span

FORMAT: Final = "meter-host/1"
LIMIT: Final = 1 << 24
"""A record of more bytes was not written by meter."""
_KEYS: Final = ("question", "argument", "answer")


def to_json(facts: Mapping[tuple[str, str], str]) -> list[dict[str, str]]:
    """Answers as a record has them, sorted by question and argument."""
    return [dict(zip(_KEYS, (*question, answer), strict=True)) for question, answer in sorted(facts.items())]


def read(path: str) -> Recorded:
    """The host that a file tells of.

    Raises: ContractError (E-FILE), it cannot be read, is no JSON, or no record of a host.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise _broken(path, "host", why=(error.strerror or str(error)).lower()) from error
    if len(data) > LIMIT:
        raise _broken(path, "too-large", size=str(len(data)), limit=str(LIMIT))
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _broken(path, "not-json") from None
    facts = document.get("facts") if isinstance(document, dict) and document.get("format") == FORMAT else None
    if not isinstance(facts, list) or not all(map(_is_fact, facts)):
        raise _broken(path, "no-host", format=FORMAT)
    return Recorded(_together(path, facts))


def _is_fact(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in _KEYS)


def _together(path: str, facts: Iterable[Mapping[str, str]]) -> dict[tuple[str, str], str]:
    """The answers by their questions.

    Raises: ContractError, a question has two answers.
    """
    found: dict[tuple[str, str], str] = {}
    for fact in facts:
        question = (fact["question"], fact["argument"])
        if found.setdefault(question, fact["answer"]) != fact["answer"]:
            raise _broken(path, "two-answers", question=fact["question"], argument=fact["argument"])
    return found


def _broken(path: str, variant: str, **facts: str) -> ContractError:
    spans = (Span(path, 1, 1),)
    facts = {"path": path, "record": shlex.quote(_free(path)), **facts}
    return ContractError([Diagnostic(code="E-FILE", variant=variant, facts=facts, spans=spans)])


def _free(path: str) -> str:
    """Where a record can be written: a file that is there may be anything, such as the mount file, and is spared."""
    names = chain((path, "host.json"), (f"host-{number}.json" for number in count(2)))
    return next(name for name in names if not os.path.lexists(name))
