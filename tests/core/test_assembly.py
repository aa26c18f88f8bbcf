"""What elements are made with: the values that their rules take from the host, and the clock of their start."""

from __future__ import annotations

import os

import pytest

from meter.contracts.rules import Gives, Rule
from meter.core.assembly import filled
from meter.core.breach import ContractBreach
from meter.core.plugin import Context


def marking(**attributes: str) -> Rule:
    """A rule that adds attributes in place."""
    return Rule(select=(), keeps=False, gives=Gives("${metric}", attributes=tuple(sorted(attributes.items()))))


def added(rule: Rule) -> dict[str, str]:
    """The attributes that a rule adds."""
    assert rule.gives is not None
    return dict(rule.gives.attributes)


class TestFilled:
    """Placeholders in the values of attributes."""

    def test_the_environment_and_the_host(self) -> None:
        """Also several in one value, and beside other text."""
        rule = filled(
            marking(job="${env.A}-${env.B}", host="${host.name}", site="lab"), "mark", {"A": "1", "B": "${env.A}"}
        )

        assert added(rule) == {"job": "1-${env.A}", "host": os.uname().nodename, "site": "lab"}

    def test_a_rule_without_placeholders_is_itself(self) -> None:
        """Nearly every rule."""
        plain, fixed = Rule(select=()), marking(site="lab")

        assert filled(plain, "f", {}) is plain
        assert filled(fixed, "f", {}) is fixed

    def test_a_variable_that_is_not_set_is_named(self) -> None:
        """An empty text would be a wrong value."""
        with pytest.raises(ContractBreach, match="its attribute `job` needs the environment variable `JOB`") as caught:
            filled(marking(job="${env.JOB}"), "mark", {})

        assert (caught.value.label, caught.value.clause) == ("mark", "needs.metrics.gives.attributes")

    def test_a_variable_may_be_empty(self) -> None:
        """It was set so."""
        assert added(filled(marking(job="${env.JOB}"), "mark", {"JOB": ""})) == {"job": ""}


def test_the_wall_clock_of_a_context_stands_still() -> None:
    """Whatever happens to the real one, equal spans stay equal."""
    context = Context("f", anchor=(1_000, 1_700_000_000_000_000_000))

    assert context.wall(1_000) == 1_700_000_000_000_000_000
    assert context.wall(1_500) - context.wall(900) == 600
