"""What is said of one planted fault, which is one cause, and of two of them, which are two.

Of one, errors of one code; of two in different places of a mount file, those of both and no other. Where it is
otherwise, `BOTH_TRUE`, `HIDDEN` and `BESIDES` say why; a reason that explains nothing is a fault itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import combinations, islice
from typing import Final, NamedTuple

from meter.contracts.digests import digest
from tests.mutations.documents import Path
from tests.mutations.judge import Base, Fault, bases, noticing, said


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
    for name in noticing(fault):
        yield name, tuple(sorted({each.code for each in said(fault, name)}))


# ----------------------------------------------------------------------------------------------------------- two faults


class Hides(NamedTuple):
    """Why errors of one kind are not said beside errors of another one; codes as patterns, separated by blanks."""

    hidden: str
    by: str
    why: str

    def explains(self, hidden: str, by: str) -> bool:
        """Whether it holds for two codes."""
        return _fits(hidden, self.hidden) and _fits(by, self.by)


def _fits(code: str, patterns: str) -> bool:
    return any(fnmatchcase(code, pattern) for pattern in patterns.split())


_FLOWING: Final = "E-FLOW-* E-CONSTRAINT"
_UNREAD: Final = "E-CLAUSE-TYPE E-NAME"
_LACKING: Final = "E-ROLE-COUNT E-NEED-UNMET"
_CONFIGURED: Final = "E-CONFIG-MISSING E-CONFIG-TYPE E-CONFIG-RANGE E-CONFIG-UNKNOWN E-KEY-NAME"
HIDDEN: Final = (
    Hides(_FLOWING, f"{_UNREAD} {_LACKING} E-DUPLICATE", "what flows is known only of a chain of which all is known"),
    Hides(_FLOWING, "E-CONFIG-CLASH", "what flows depends on options that stand in a table of no instance"),
    Hides(_FLOWING, _CONFIGURED, "what flows depends on the option, such as a selector"),
    Hides("E-FLOW-UNREAD", "E-FLOW-EMPTY", "what the selector was meant to read is not known"),
    Hides(_FLOWING, "E-FLOW-*", "one hop gives what the other one reads"),
    Hides(
        "E-DURABILITY",
        f"{_UNREAD} {_LACKING} {_CONFIGURED} E-CONFIG-CLASH E-DUPLICATE",
        "what is promised depends on who recovers, and that on the whole configuration",
    ),
    Hides(
        _LACKING, f"{_UNREAD} {_LACKING} E-DUPLICATE", "who is lacking may be the word that is none, or comes with it"
    ),
    Hides("E-CONFIG-CLASH", f"{_UNREAD} {_LACKING} E-DUPLICATE", "whose table it is may be who is lacking"),
    Hides(
        "E-CONFIG-MISSING",
        f"{_UNREAD} {_LACKING} E-CONFIG-CLASH",
        "the option may be in a table that is of no instance, or of one that is lacking",
    ),
    Hides("E-CONFIG-CLASH", "E-CONFIG-CLASH", "without both nothing is left to have a source or an output"),
)
"""Which of two faults is not said: what the other one leaves unknown."""
BESIDES: Final = {"E-ROLE-COUNT": "each of two instances can be left out, and both cannot"}
"""What is said of two faults and of neither alone."""


class Pair(NamedTuple):
    """Two faults in different places of a mount file: codes that one alone gives and both do not, and the other way.

    `hidden` has each with the code of the other fault; what is explained is left out.
    """

    one: Fault
    other: Fault
    hidden: tuple[tuple[str, str], ...]
    besides: tuple[str, ...]


class Pairs:
    """Pairs of faults, planted together; which reasons were needed is noted."""

    def __init__(self) -> None:
        self.planted = 0
        self.needed: set[Hides | str] = set()

    def wrong(self, most: int | None = None) -> Iterator[Pair]:
        """The pairs of which not both faults are said, or a third one, and nothing explains it.

        Args: most, so many pairs of each mount file are planted; all where it is None.
        """
        for base in bases():
            found = list(_single(base))
            pairs = [
                pair
                for pair in combinations(found, 2)
                if _apart(base, pair[0].fault.mutation.path, pair[1].fault.mutation.path)
            ]
            if most is not None:
                pairs = sorted(pairs, key=lambda pair: digest(f"{pair[0].fault.said} {pair[1].fault.said}".encode()))[
                    :most
                ]
            for one, other in pairs:
                self.planted += 1
                pair = self._planted(base, one, other)
                if pair.hidden or pair.besides:
                    yield pair

    def _planted(self, base: Base, one: Single, other: Single) -> Pair:
        first, then = sorted((one, other), key=lambda each: [str(step).zfill(9) for step in each.fault.mutation.path])
        document = first.fault.mutation.change(then.fault.mutation.document())  # so that places stay what they are
        codes = {each.code for each in base.errors(document)}
        lost = [(a.code, b.code) for a, b in ((one, other), (other, one)) if a.code not in codes]
        more = codes - {one.code, other.code}
        hidden = tuple(pair for pair in lost if not self._explained(*pair))
        self.needed |= more & BESIDES.keys()
        return Pair(one.fault, other.fault, hidden, tuple(sorted(more - BESIDES.keys())))

    def _explained(self, hidden: str, by: str) -> bool:
        why = next((each for each in HIDDEN if each.explains(hidden, by)), None)
        if why is not None:
            self.needed.add(why)
        return why is not None


class Single(NamedTuple):
    """A fault of which errors of one code are said."""

    fault: Fault
    code: str


def _single(base: Base) -> Iterator[Single]:
    """The faults of a mount file of which errors of one code are said; of each place and code the first."""
    seen = set()
    for mutation in base.mutations:
        fault = Fault(base.name, mutation, (base.name,))
        if any(each.explains(fault) and each.kind == "other plugin" for each in BOTH_TRUE):
            continue
        codes = {each.code for each in said(fault, base.name)}
        if len(codes) == 1 and (key := (mutation.path, *codes)) not in seen:
            seen.add(key)
            yield Single(fault, *codes)


def _apart(base: Base, one: Path, other: Path) -> bool:
    """Whether two places are of different instances, or of words that say something else."""
    first, second = _about(base, one), _about(base, other)
    return None not in (first, second) and first != second


def _about(base: Base, path: Path) -> tuple[str, str] | None:
    """The instance that a place is of, else its word; None where it is of more."""
    match path:
        case ("mounts", str(mount), "plugins" | "optional" as word, int(place), *_):
            text = base.document["mounts"][mount][word][place]
            return (mount, text.partition("#")[2] or text)
        case ("mounts", str(mount), "config", str(label), *_):
            return (mount, label)
        case ("mounts", str(mount), str(word), *_) if word not in ("config", "plugins", "optional"):
            return (mount, f"{word} =")
    return None
