"""Blame: who broke which clause, on which metric and at which hop, how often, and what becomes of it.

What a policy means is said by the sections [policy ...] of CONTRACT.ini. They are read when something is wrong, so that
a sound run does not load the contract language.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from meter.contracts.hops import flows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meter.core.breach import ContractBreach

SAID_LIMIT: Final = 1 << 10
"""So many different breaches are said in one run; a plugin may make up names for as long as it runs."""
SHOWN: Final = 3
"""So many neighbours of a hop are named."""


class Watched(Protocol):
    """An element whose violations are counted."""

    label: str
    violations: int


class Policy(NamedTuple):
    """What becomes of a plugin that broke its contract: whether it goes on, and whether the run ends."""

    word: str
    goes_on: bool
    ends: bool

    @property
    def variant(self) -> str:
        """Which help a diagnostic has."""
        return "goes-on" if self.goes_on else "ends" if self.ends else ""


def policies() -> dict[str, Policy]:
    """The policies by their words, the usual one first."""
    from meter.contracts.language import language  # see the module

    known = language()
    found = [
        Policy(word, known.says("policy", word, "goes-on"), known.says("policy", word, "ends"))
        for word in sorted(known.values("policy"), key=lambda word: not known.says("policy", word, "usual"))
    ]
    return {policy.word: policy for policy in found}


class Blame:
    """The breaches of one run, counted; every thread may add to them.

    Args: `plan` is the document of the plan; `on_breach` the word of a policy, or None for the usual one; `end` is
        called when a breach ends the run.
    Raises: ValueError, there is no such policy.
    """

    def __init__(self, plan: Mapping[str, Any], on_breach: str | None, end: Callable[[], None]) -> None:
        if on_breach is not None and on_breach not in policies():
            raise ValueError(f"on_breach={on_breach!r}: expected {' or '.join(policies())}")
        self.ended = False
        """Whether a breach ends the run."""
        self._plan = plan
        self._word = on_breach
        self._end = end
        self._elements: dict[str, list[Watched]] = {}
        self._counts: Counter[str] = Counter()
        self._said: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    @property
    def violations(self) -> int:
        """How often a plugin of the run broke its contract."""
        return self._counts.total()

    def counts(self) -> dict[str, int]:
        """The same by instance, of those that did."""
        with self._lock:
            return dict(self._counts)

    def watch(self, element: Watched) -> None:
        """Count the violations of an element in its `violations`, those before it was made included."""
        with self._lock:
            self._elements.setdefault(element.label, []).append(element)
            element.violations = self._counts[element.label]

    def policy(self) -> Policy:
        """What becomes of whoever breaks a contract."""
        known = policies()
        return next(iter(known.values())) if self._word is None else known[self._word]

    def count(self, label: str, breach: ContractBreach) -> bool:
        """Count a breach; whether it is the first one of its instance, clause and metric, which is to be said."""
        with self._lock:
            self._counts[label] += 1
            for element in self._elements.get(label, ()):
                element.violations = self._counts[label]
            known = (label, breach.clause, breach.what, breach.metric)
            if known in self._said or len(self._said) >= SAID_LIMIT:
                return False
            self._said.add(known)
            return True

    def end(self) -> None:
        """End the run."""
        self.ended = True
        self._end()

    def facts(self, label: str, breach: ContractBreach) -> dict[str, str]:
        """Why, which metric, and where in the chain: `hop` of `hops`, behind whom and before whom."""
        return {"why": breach.detail, "metric": breach.metric, **place(self._plan, label)}


def place(plan: Mapping[str, Any], label: str) -> dict[str, str]:
    """Where an instance stands in the chain; sources are the first hop, outputs the last, each filter is one."""
    roles = {entry["instance"]: entry["role"] for entry in plan["plugins"]}
    filters = [name for name, role in roles.items() if role == "filter"]
    hops = len(filters) + 2
    role = roles.get(label)
    number = filters.index(label) + 2 if role == "filter" else 1 if role == "source" else hops
    found = flows(plan)
    return {
        "hop": str(number),
        "hops": str(hops),
        "before": _named(giver for giver, taker in found if taker == label),
        "after": _named(taker for giver, taker in found if giver == label),
    }


def _named(labels: Iterable[str]) -> str:
    names = [f"`{label}`" for label in labels]
    return ", ".join(names if len(names) <= SHOWN else [*names[:SHOWN], "..."])
