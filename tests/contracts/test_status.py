"""Status words: each weighs, numbers weigh themselves, and what is neither is refused."""

from __future__ import annotations

import pytest

from meter.contracts.catalogue import is_automatic, is_listed, score
from meter.contracts.language import language
from tests.contracts.build import contract, faults, source

# What libelektra 0.11.0 gives for these words: src/libs/tools/src/plugindatabase.cpp.
ELEKTRA = {
    "default": 64000, "recommended": 32000, "productive": 8000, "maintained": 4000, "reviewed": 4000,
    "conformant": 2000, "compatible": 2000, "coverage": 2000, "specific": 1000, "unittest": 1000, "shelltest": 1000,
    "tested": 500, "nodep": 250, "libc": 250, "configurable": 50, "final": 50, "global": 1, "readonly": 0,
    "writeonly": 0, "preview": -50, "memleak": -250, "experimental": -500, "difficult": -500, "limited": -750,
    "unfinished": -1000, "old": -1000, "nodoc": -1000, "concept": -2000, "orphan": -4000, "obsolete": -4000,
    "discouraged": -32000,
}  # fmt: skip


def weight(*words: str) -> int:
    """The score of a plugin with these words."""
    return score(contract(source(more=f"status = {list(words)}")))


@pytest.mark.parametrize("word", ELEKTRA)
def test_a_word_weighs_what_it_does_in_elektra(word: str) -> None:
    """Whoever comes from there finds the choice that was made there."""
    assert weight(word) == ELEKTRA[word]


def test_other_words_weigh_nothing() -> None:
    """They say other things: whether a plugin is listed, chosen, measures spans."""
    assert {word for word in language().values("status") if weight(word) != 0} <= set(ELEKTRA)


@pytest.mark.parametrize(
    ("words", "sum_"),
    [
        ((), 0),
        (("memleak", "501"), 251),
        (("-5",), -5),
        (("+5", "-7"), -2),
        (("maintained", "maintained"), 4000),  # said twice is said once
        (("5", "5"), 5),
        (("obsolete", "orphan", "old"), -9000),
    ],
)
def test_a_score_is_a_sum(words: tuple[str, ...], sum_: int) -> None:
    """Of different words."""
    assert weight(*words) == sum_


@pytest.mark.parametrize("word", ["12abc", "WRONG", "5.0", "", " 5", "--5", "1" * 10])
def test_what_is_no_word_is_refused(word: str) -> None:
    """Nothing weighs 0 silently."""
    assert [d.code for d in faults(source(more=f"status = [{word!r}]"))] == ["E-STATUS-UNKNOWN"]


def test_a_number_says_nothing_else() -> None:
    """Such a plugin is listed and chosen as any other."""
    plugin = contract(source(more='status = ["-5"]'))
    assert is_listed(plugin)
    assert is_automatic(plugin)
