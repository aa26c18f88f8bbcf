"""What is raised when a plugin does something that its contract does not state."""

from __future__ import annotations


class ContractBreach(Exception):  # noqa: N818  (the word of the contract reference, E-BREACH)
    """A plugin broke its contract: `label` is the instance, `clause` the clause, `what` and `facts` what was done.

    `what` names a section [breach ...] of CONTRACT.ini, `detail` is its text with the facts. The engine names the
    plugin and leaves it out.
    """

    def __init__(self, label: str, clause: str, what: str, /, **facts: str) -> None:
        super().__init__(label, clause, what, facts)
        self.label = label
        self.clause = clause
        self.what = what
        self.facts = facts

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
