"""Durability with what recovers, deadlines, isolation."""

import pytest

from tests.contracts.build import codes, head, one, output, run, source

SINK = output()
SPOOL = (
    head("spool", "recover")
    + 'durability = "power"\n[[needs.metrics]]\nmetric = "*"\n[config.for]\ntype = "list<str>"\ndefault = []\n'
)


@pytest.mark.parametrize(
    ("names", "expected"), [('["sink"]', []), ('["other"]', ["E-DURABILITY"]), ("[]", ["E-DURABILITY"])]
)
def test_what_recovers_counts_for_the_outputs_that_it_names(names: str, expected: list[str]) -> None:
    """A volatile output behind a durable spool keeps the demanded promise, one beside it does not."""
    more = f'durability = "power"\nconfig.spool.for = {names}'

    assert codes(run("probe sink spool", source(), SINK, SPOOL, more=more)) == expected


@pytest.mark.parametrize(("interval", "expected"), [("1s", []), ("500ms", []), ("499ms", ["E-CONSTRAINT"])])
def test_a_source_that_can_take_longer_than_its_interval(interval: str, expected: list[str]) -> None:
    """It would lose ticks."""
    slow = source("slow", more='deadline = "500ms"')

    assert codes(run("slow sink", slow, SINK, more=f'config.slow.interval = "{interval}"')) == expected


def test_the_deadline_is_named() -> None:
    """With the interval, and what to do."""
    slow = source("slow", more='deadline = "5s"')
    document = one(run("slow sink", slow, SINK), "E-CONSTRAINT")

    assert document["message"] == "a call of `slow` can take 5s, longer than its interval of 1s"


def test_an_isolation_that_this_meter_has_not() -> None:
    """Refused rather than run without it."""
    document = one(run("apart sink", source("apart", more='isolation = "process"'), SINK), "E-INTERFACE")

    assert "`apart` has to run in isolation `process`" in document["message"]


@pytest.mark.parametrize(("option", "expected"), [("", ["E-DURABILITY"]), ('config.spool.durability = "power"', [])])
def test_an_option_says_the_durability_of_an_instance(option: str, expected: list[str]) -> None:
    """Where the user can choose it, the contract alone cannot promise it."""
    spool = head("spool", "recover") + (
        'durability = "process"\n'
        'config.durability = { type = "enum", values = ["process", "power"], default = "process" }\n'
    )
    more = f'durability = "power"\nconfig.spool.for = ["sink"]\n{option}'

    assert codes(run("probe sink spool", source(), SINK, spool, more=more)) == expected


KEEPER = head("keeper", "recover")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ('["sink"]', []),
        ("[]", []),
        ('["probe"]', ["E-CONFIG-RANGE"]),
        ('["keeper"]', ["E-CONFIG-RANGE"]),
        ('["nobody"]', ["E-CONFIG-RANGE"]),
        ('["sink", "sink"]', ["E-CLAIM"]),
    ],
)
def test_what_recovers_names_outputs(names: str, expected: list[str]) -> None:
    """Each once; only outputs have something that could not be delivered."""
    assert codes(run("probe sink keeper", source(), SINK, KEEPER, more=f"config.keeper.for = {names}")) == expected


def test_what_recovers_has_to_say_for_whom() -> None:
    """It is no part of the chain that gets everything."""
    assert codes(run("probe sink keeper", source(), SINK, KEEPER)) == ["E-CONFIG-MISSING"]


def test_an_output_is_kept_by_one() -> None:
    """What it cannot deliver is one queue."""
    second = head("second", "recover")
    more = 'config.keeper.for = ["sink"]\nconfig.second.for = ["sink"]'
    document = one(run("probe sink keeper second", source(), SINK, KEEPER, second, more=more), "E-CLAIM")

    assert document["message"] == "`keeper` and `second` both keep what `sink` cannot deliver"
