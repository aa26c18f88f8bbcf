"""What is raised when a plugin does something that its contract does not state."""

from __future__ import annotations

from typing import Final

GIVES: Final = "needs.metrics.gives"
"""The clause that says what a filter gives."""


class ContractBreach(Exception):  # noqa: N818  (the word of the contract reference, E-BREACH)
    """A plugin broke its contract: `label` is the instance, `clause` the clause, `what` and `facts` what was done.

    `what` names a section [breach ...] of CONTRACT.ini, `detail` is its text with the facts; the fact `metric` names
    the metric. The engine names the plugin and does with it what the policy says.
    """

    def __init__(self, label: str, clause: str, what: str, /, **facts: str) -> None:
        super().__init__(label, clause, what, facts)
        self.label = label
        self.clause = clause
        self.what = what
        self.facts = facts

    @property
    def metric(self) -> str:
        """The metric that it is about; empty where it is about none alone."""
        return self.facts.get("metric", "")

    @property
    def detail(self) -> str:
        """What was done, as half a sentence."""
        from meter.contracts.language import language  # the contract language; only a breach needs its words

        near = language().phrase("breach", "nearest", **self.facts) if self.facts.get("near") else ""
        return language().phrase("breach", self.what, **self.facts) + near

    def __str__(self) -> str:
        from meter.contracts.language import fill, language  # as in detail

        message = language().codes["E-BREACH"].text("message")
        return fill(message, {"instance": self.label, "why": self.detail}) + f" ({self.clause})"
