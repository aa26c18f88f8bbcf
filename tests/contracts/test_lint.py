"""Advice for authors: what readers of a contract miss, and what they cannot use as it is written."""

from __future__ import annotations

import pytest

from meter.contracts.lint import is_expression, lint
from tests.contracts.build import at, contract, metric, shown

SOUND = 'author = "A B <a@b.org>"\nlicence = "BSD-3-Clause"\nstatus = ["unittest"]\n'


def advice(*lines: str) -> list[dict[str, object]]:
    """What is advised of a plugin with these lines in place of the sound ones."""
    stated = {line.partition(" ")[0]: line for line in (*SOUND.splitlines(), *lines)}
    text = 'name = "p"\nversion = "1.0.0"\nplacement = "source"\nsummary = "s"\n' + "\n".join(stated.values()) + "\n"
    found = [shown(diagnostic) for diagnostic in lint(contract(text + metric("p.value")))]
    for document in found:
        if document["code"] == "W-CLAUSE-FORM":
            assert at(document, text, file="contract.toml").strip('"') == document["message"].split("`")[5]
    return found


def test_a_sound_contract_gets_no_advice() -> None:
    """Nothing is said for the sake of it."""
    assert advice() == []


@pytest.mark.parametrize(
    ("author", "lacking"),
    [
        ("A B", "`<`, `@`, `>`"),
        ("A B a@b.org", "`<`, `@`, `>`"),  # the address is not marked
        ("A B <a.b.org>", "`@`, `>`"),
        ("A B <a@b.org", "`>`"),
        ("A B >a@b.org<", "`@`, `>`"),
    ],
)
def test_an_author_can_be_written_to(author: str, lacking: str) -> None:
    """`<`, `@` and `>` stand behind each other."""
    (document,) = advice(f'author = "{author}"')
    assert document["code"] == "W-CLAUSE-FORM"
    assert document["message"] == f"`author` of `p` is `{author}`, without {lacking} in this order"


@pytest.mark.parametrize("author", ["A B <a@b.org>", "A <a@b>, C <c@d>", "<@>"])
def test_an_address_is_enough(author: str) -> None:
    """What the name is, nobody asks."""
    assert advice(f'author = "{author}"') == []


@pytest.mark.parametrize(
    "licence",
    [
        "MIT",
        "MIT OR Apache-2.0",
        "(MIT OR GPL-3.0-only) AND BSD-2-Clause",
        "GPL-2.0-or-later WITH Classpath-exception-2.0",
        "GPL-2.0+",
        "LicenseRef-Mine",
        "DocumentRef-a:LicenseRef-b",
    ],
)
def test_expressions(licence: str) -> None:
    """The form of SPDX, annex D."""
    assert is_expression(licence)
    assert advice(f'licence = "{licence}"') == []


@pytest.mark.parametrize(
    "licence", ["BSD 3 clause", "MIT AND", "AND", "(MIT", "MIT)", "()", "MIT (ISC)", "MIT, ISC", "*"]
)
def test_no_expressions(licence: str) -> None:
    """Anything else."""
    assert not is_expression(licence)
    (document,) = advice(f'licence = "{licence}"')
    assert (document["code"], document["edit"]) == ("W-CLAUSE-FORM", None)


@pytest.mark.parametrize(("licence", "meant"), [("GPL", "GPL-3.0-or-later"), ("BSD", "BSD-3-Clause")])
def test_names_that_only_seem_to_be_identifiers(licence: str, meant: str) -> None:
    """The likely one is offered, to be put in."""
    (document,) = advice(f'licence = "{licence}"')
    assert f"did you mean `{meant}`?" in str(document["help"])
    assert document["edit"]
    assert not is_expression(f"MIT OR {licence}")


def test_a_status_is_advised() -> None:
    """It decides who is taken of several; an empty one says as little as none."""
    (document,) = advice("status = []")
    assert (document["code"], document["message"]) == ("W-CLAUSE-MISSING", "`p` does not state `status`")
