"""What is raised when a plugin does something that its contract does not state."""

from __future__ import annotations


class ContractBreach(Exception):  # noqa: N818  (the word of the contract reference, E-BREACH)
    """A plugin broke its contract: `label` is the instance, `clause` the clause, `detail` what was done.

    The engine treats it as the mount's policy says (`warn`, `quarantine`, `stop`).
    """

    def __init__(self, label: str, clause: str, detail: str) -> None:
        super().__init__(label, clause, detail)
        self.label = label
        self.clause = clause
        self.detail = detail

    def __str__(self) -> str:
        return f"`{self.label}` broke its contract: {self.detail} (clause `{self.clause}`)"
