"""Replacing what a contract needs of the host: whoever carried the old one carries a new one that demands no more."""

from __future__ import annotations

from itertools import product
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.host import Recorded
from meter.contracts.host_needs import host_faults
from meter.contracts.instances import holds_when
from meter.contracts.model import Contract
from meter.contracts.replacement.compatibility import compare
from tests.contracts.build import contract, source
from tests.contracts.test_language import toml
from tests.strategies import steady

OPTIONS: Final = (
    'config.m = { type = "enum", values = ["a", "b"], default = "a" }\nconfig.b = { type = "bool", default = false }\n'
)
RANGES: Final = {"<=0": (0,), "<1": (0,), "<=1": (0, 1), ">=1": (1,)}
"""Each range with those of the numbers 0 and 1 that lie in it."""
TABLES = st.fixed_dictionaries(
    {},
    optional={
        "readable": st.lists(st.sampled_from(["/a", "/b"]), max_size=2, unique=True),
        "sysctl": st.fixed_dictionaries({"kernel.x": st.sampled_from(sorted(RANGES))}),
        "when": st.fixed_dictionaries(
            {}, optional={"m": st.sampled_from(["a", ["a", "b"], ["b"]]), "b": st.sampled_from([True, [False]])}
        ),
    },
)
NEEDS = st.lists(TABLES, max_size=3)
HOSTS: Final = [
    Recorded(
        {("readable", path): "" if path in files else f"missing {path}" for path in ("/a", "/b")}
        | {
            ("sysctl", f"kernel.x{text}"): "" if value in held else f"other-value kernel.x{text} {value}"
            for text, held in RANGES.items()
        }
    )
    for files, value in product(((), ("/a",), ("/b",), ("/a", "/b")), (0, 1))
]
CONFIGS: Final = [{"m": m, "b": b} for m, b in product(("a", "b"), (False, True))]


def carried(needing: Contract, config: dict[str, Any], host: Recorded) -> bool:
    """Whether a host carries a plugin with a configuration."""
    return not host_faults(needing, host, lambda guard: holds_when(guard, config, needing.config))


@given(NEEDS, NEEDS)
@settings(steady, max_examples=300)
def test_nothing_more_is_demanded_unless_it_is_said(old: list[Any], new: list[Any]) -> None:
    """For every configuration and every host, by trying all of them."""
    one, other = (contract(source("probe", more=f"{OPTIONS}needs.host = {toml(needs)}\n")) for needs in (old, new))
    said = any(change.rule.name == "host-need-added" for change in compare(one, other).changes)

    lost = [(c, h) for c in CONFIGS for h in HOSTS if carried(one, c, h) and not carried(other, c, h)]

    assert said or not lost


@given(NEEDS)
@settings(steady, max_examples=100)
def test_a_contract_may_stand_for_itself(needs: list[Any]) -> None:
    """Whatever its conditions are."""
    one = contract(source("probe", more=f"{OPTIONS}needs.host = {toml(needs)}\n"))
    assert compare(one, one).changes == ()
