"""Contracts beside each other, without a mount."""

from __future__ import annotations

from typing import Any

import pytest

from meter.contracts.catalogue import Catalogue
from meter.contracts.together import together
from tests.contracts.build import at, catalogue, filter_, head, output, rule, shown, source

NEEDING = head("mine", "output") + 'needs.capabilities = { "counter.energy" = ">=2" }\n'


def said(*texts: str, files: tuple[str, ...] = ("mine/contract.toml",)) -> list[dict[str, Any]]:
    """What is said of some files."""
    return [shown(each) for each in together(catalogue(*texts), files)]


@pytest.mark.parametrize(
    ("others", "message", "help_"),
    [
        ((), "`mine` needs `counter.energy` >=2, which no plugin offers", "add a plugin that provides it"),
        (
            (source("rapl", more='provides.capabilities = { "counter.energy" = "1.0" }'),),
            "`mine` needs `counter.energy` >=2, which no plugin offers",
            "`rapl` provides 1.0; >=2 is wanted",
        ),
        (
            (source("rapl", more='provides.capabilities = { "counters.energy" = "2.0" }'),),
            "`mine` needs `counter.energy` >=2, which no plugin offers",
            "did you mean `counters.energy`? add a plugin that provides it",
        ),
    ],
)
def test_a_need_that_nothing_meets(others: tuple[str, ...], message: str, help_: str) -> None:
    """The need is pointed at; versions that are there, and names that are near, are told."""
    [document] = said(NEEDING, *others)
    assert (document["code"], document["message"], document["help"]) == ("E-NEED-UNMET", message, help_)
    assert at(document, NEEDING, file="mine/contract.toml") == '"counter.energy"'


def test_needs_that_are_met() -> None:
    """By a capability in the range, or by the plugin of that name."""
    assert said(NEEDING, source("rapl", more='provides.capabilities = { "counter.energy" = "2.1" }')) == []
    by_name = NEEDING.replace("counter.energy", "rapl")
    assert said(by_name, source("rapl").replace("1.0.0", "2.0.0")) == []
    assert len(said(by_name, source("rapl"))) == 1


def test_a_metric_that_nothing_gives() -> None:
    """The literal name in a rule, with the nearest one; what a template could make is there."""
    text = output("mine", rule("system.cpu.tim"))
    [document] = said(text, source("cpu", '[[provides.metrics]]\nname = "system.cpu.time"\ntype = "f64"\n'
        'unit = "s"\nkind = "delta"\nresource = ["machine"]\n'))  # fmt: skip
    assert document["message"] == "`mine` needs the metric `system.cpu.tim`, which no plugin gives"
    assert document["help"] == "did you mean `system.cpu.time`? add a plugin that gives it"
    assert at(document, text, file="mine/contract.toml") == '"system.cpu.tim"'
    made = filter_("rate", rule("*", 'gives = { name = "${metric}.rate" }'))
    assert said(output("mine", rule("system.cpu.time.rate")), made) == []
    in_place = filter_("same", rule("*", 'gives = { name = "${metric}" }'))
    assert len(said(output("mine", rule("x")), in_place)) == 1


@pytest.mark.parametrize("selector", ["system.*", "${config.metrics}"])
def test_wildcards_and_options_may_mean_nothing(selector: str) -> None:
    """Only a literal name is a must."""
    assert said(output("mine", rule(selector))) == []


def test_one_name_twice() -> None:
    """Each of the two files is shown, the one that was asked about first; what others have twice is their business."""
    files = [(name, f"{name}/contract.toml", source("probe").encode()) for name in ("a", "b")]
    known = Catalogue.of(files)
    [document] = [shown(each) for each in together(known, ["b/contract.toml"])]
    assert (document["code"], document["message"]) == ("E-DUPLICATE", "`probe` is there twice")
    assert [span["file"] for span in document["spans"]] == ["b/contract.toml", "a/contract.toml"]
    assert document["help"] == "the name is in `a/contract.toml` and `b/contract.toml`: rename one"
    assert together(known, ["c/contract.toml"]) == []


def test_only_the_asked_files_are_judged() -> None:
    """The needs of others are not looked at."""
    assert said(NEEDING, files=()) == []
