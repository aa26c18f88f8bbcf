"""Advice for the author of a contract: what its readers miss, and what is not written as they can use it.

None of it changes a mount, so nobody but the author is told: `meter plugin check --full`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from meter.contracts.diagnostics import Diagnostic, listed
from meter.contracts.editing.edits import Edit, renamed
from meter.contracts.language import language
from meter.contracts.model import Contract

_MARKS: Final = "<@>"
_TOKEN: Final = re.compile(r"[()]|[^\s()]+")
_IDENTIFIER: Final = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?[A-Za-z0-9][A-Za-z0-9.-]*\+?")
_OPERATORS: Final = ("AND", "OR", "WITH")


def lint(contract: Contract) -> Iterator[Diagnostic]:
    """W-CLAUSE-MISSING for clauses that are advised, W-CLAUSE-FORM for an author or a licence that is not one."""
    missing = [
        clause
        for clause in language().children(())
        if clause.obligatory == "advised" and not getattr(contract, clause.path[-1])
    ]
    if missing:
        texts = "; ".join(f"`{clause.name}`: {clause.description.rstrip('.')}" for clause in missing)
        facts = {"clauses": listed(clause.name for clause in missing), "descriptions": texts}
        yield _said("W-CLAUSE-MISSING", contract, missing[0].name, facts)
    if contract.author and (lacking := _lacking(contract.author)):
        yield _said("W-CLAUSE-FORM", contract, "author", {"got": contract.author, "lacking": listed(lacking)})
    if contract.licence and not is_expression(contract.licence):
        instead = language().words["licence"].get(contract.licence, {}).get("instead", "")
        place = contract.source.value("licence")
        edit = renamed(place, contract.licence, instead) if instead else None
        facts = {"got": contract.licence, "instead": instead}
        yield _said("W-CLAUSE-FORM", contract, "licence", facts, "meant" if instead else "licence", edit)


def _lacking(author: str) -> list[str]:
    """Of the marks around an address those that are not there behind each other: `<`, then `@`, then `>`."""
    lacking = []
    rest = author
    for mark in _MARKS:
        _, found, behind = rest.partition(mark)
        if found:
            rest = behind
        else:
            lacking.append(mark)
            rest = ""  # what comes behind is an address only inside of it
    return lacking


def is_expression(licence: str) -> bool:
    """Whether a text has the form of an SPDX licence expression, and no name in it is one that only seems to be one.

    Source: SPDX specification 2.3, annex D. That an identifier is in the list of SPDX is not known here.
    """
    depth = 0
    operand = False
    for token in _TOKEN.findall(licence):
        if token == "(":  # noqa: S105  (no password, a bracket)
            if operand:
                return False
            depth += 1
        elif token == ")":  # noqa: S105  (as above)
            if not operand or not depth:
                return False
            depth -= 1
        elif token in _OPERATORS:
            if not operand:
                return False
            operand = False
        else:
            if operand or not _IDENTIFIER.fullmatch(token) or token in language().words["licence"]:
                return False
            operand = True
    return operand and not depth


def _said(
    code: str, contract: Contract, clause: str, facts: dict[str, str], variant: str = "", edit: Edit | None = None
) -> Diagnostic:
    place = contract.source.value(clause) if getattr(contract, clause) else contract.source.key()
    facts = {"subject": f"`{contract.name}`", "clause": clause, **facts}
    return Diagnostic(code=code, facts=facts, spans=(place,), clause=clause, variant=variant, edit=edit)
