"""The cases of contracts and keys: demands with the result of libelektra beside ours.

Each level has a module whose `run(case)` gives what the product says, by the names that expectations have. Only what a
case expects is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from meter.contracts.diagnostics import ContractError
from tests.vectors import Outcome, backend, builder, check, keys, names, parse

Case = Mapping[str, Any]
Found = Mapping[str, Any]

LEVELS: Final[Mapping[str, Callable[[Case], Found]]] = {
    "builder": builder.run,
    "parse": parse.run,
    "name": names.run,
    "backend": backend.run,
    "check": check.run,
    "keys": keys.run,
}


def outcomes(document: Mapping[str, Any]) -> Iterator[Outcome]:
    """Run each case that is applicable."""
    for case in document["cases"]:
        yield Outcome(case["id"], case["group"], _wrong(case))


def _wrong(case: Case) -> list[str] | None:
    """What is wrong with a case, `None` where it is not applicable; one that cannot be run does not stop the others."""
    if case["meter"]["verdict"] == "not-applicable":
        return None
    try:
        return wrong(case)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the result of this case)
        return [f"raised {type(error).__name__}: {error}"]


def wrong(case: Case) -> list[str]:
    """What is not as a case expects it; empty where it passes."""
    expect = case["meter"]["expect"]
    try:
        found = LEVELS[case["level"]](case)
    except ContractError as error:
        found = {"error": ", ".join(dict.fromkeys(each.code for each in error.diagnostics if each.level == "error"))}
    if "note" in expect:  # the note tells how meter differs, so that it has to
        found = {**found, "note": any(found.get(name) != value for name, value in case["elektra"].items())}
    if not expect:  # nothing to be said, neither error nor warning
        expect = {"warnings": 0}
    said = [f"{key}: {found.get(key)!r} instead of {wanted!r}" for key, wanted in expect.items()
            if found.get(key) != wanted]  # fmt: skip
    if "error" not in expect and "note" not in expect and "error" in found:
        said.append(f"error: {found['error']}")
    return said
