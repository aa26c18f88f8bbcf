"""What is said of one planted fault, which is one cause: errors of one code.

Where it is otherwise, `BOTH_TRUE` says why; a reason that explains nothing is a fault itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import Final, NamedTuple

from meter.contracts.digests import digest
from tests.mutations.judge import Fault, by_name, catalogue, with_fault


class Reason(NamedTuple):
    """Why errors of several codes are said after faults of a kind in some clauses, a pattern."""

    kind: str
    clauses: str
    why: str

    def explains(self, fault: Fault) -> bool:
        """Whether it holds for a fault."""
        return fault.mutation.kind == self.kind and fnmatchcase(fault.clause, self.clauses)


BOTH_TRUE: Final = (
    Reason(
        "left out",
        "request.config*",
        "an option that is left out makes what is read no more, and passes what is not taken",
    ),
    Reason("other plugin", "request.plugins", "another plugin needs and gives other things; each of them is said"),
    Reason(
        "selector",
        "request.config.*",
        "a selector that can only mean something else lets pass what others refuse",
    ),
    Reason(
        "metric name",
        "needs.metrics.gives.name",
        "what two instances give under one name is missing under the names that were read",
    ),
)
"""After which faults errors of several codes are all true."""


class Several(NamedTuple):
    """A fault of which errors of several codes are said, in which mount file, and why, if anything explains it."""

    fault: Fault
    mount: str
    codes: tuple[str, ...]
    why: Reason | None


def several(planted: Iterable[Fault], beside: int | None = None) -> Iterator[Several]:
    """The faults of which errors of several codes are said.

    Args: beside, so many mount files at most are checked with a faulty contract; all where it is None.
    """
    for fault in planted:
        why = next((each for each in BOTH_TRUE if each.explains(fault)), None)
        for name, codes in islice(_codes(fault), beside):
            if len(codes) > 1:
                yield Several(fault, name, codes, why)


def _codes(fault: Fault) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The codes of the errors that are said of a fault, by the mount files whose check may notice it."""
    mounts = by_name()
    planted = fault.target in mounts
    known = catalogue() if planted else with_fault(fault)
    for name in sorted(fault.mounts, key=lambda each: digest(f"{each} {fault.said}".encode())):
        document = fault.mutation.document() if planted else mounts[name].document
        yield name, tuple(sorted({each.code for each in mounts[name].errors(document, known)}))
