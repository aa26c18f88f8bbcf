"""Chains of joules that would be wrong: the check refuses each, and says what is wrong and what to do instead.

The plugins are meter's own, and those of tests/misconfig for a source in thousandths and an output in joules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from meter.contracts.diagnostics import Diagnostic
from meter.core import Backend, ContractError

ODD: Final = Path(__file__).parents[1] / "misconfig" / "plugins"
SUM: Final = {"function": "sum", "over": ["domain", "resource"]}

Chain = list[tuple[str, dict[str, Any]]]
"""Plugins with their options; a chain ends with `collect` where it has no output."""


def backend(chain: Chain) -> Backend:
    """A backend of these plugins."""
    made = Backend("/energy", plugin_dirs=[ODD])
    for plugin, options in chain:
        made = made.add(plugin, **options)
    return made if chain[-1][0] == "joule-store" else made.add("collect")


def refused(chain: Chain) -> Diagnostic:
    """The only error of a chain."""
    with pytest.raises(ContractError) as caught:
        backend(chain).check(assume=True)
    (found,) = [each for each in caught.value.diagnostics if each.level == "error"]
    return found


def summed(selector: str) -> Chain:
    """The sum of what a selector takes of `rapl`."""
    return [("rapl", {}), ("aggregate", {"metrics": [selector], **SUM})]


def computed(formula: str) -> Chain:
    """A formula over what `rapl` gives."""
    return [("rapl", {}), ("attribution", {"formulas": {"x": formula}})]


def paced(plugin: str, interval: str, **options: Any) -> Chain:
    """A source that is polled too often."""
    return [(plugin, {"interval": interval, **options})]


PACKAGE, CORE, PSYS = (f"hw.energy{{domain={domain}}}" for domain in ("package", "core", "psys"))
REFUSED: Final = {
    "package and core, summed": (
        summed("hw.energy{domain=package|core}"),
        "E-FLOW-DOUBLE",
        "would count `hw.energy` twice: `core` of domain is a part of `package`",
        "select only what is no part of another",
    ),
    "package and psys, summed": (
        summed("hw.energy{domain=package|psys}"),
        "E-FLOW-DOUBLE",
        "would count `hw.energy` twice: `cpu_package` of resource is a part of `machine`",
        "select only what is no part of another",
    ),
    "all that is in joules, summed": (
        summed("hw.energy"),
        "E-FLOW-DOUBLE",
        "would count `hw.energy` twice",
        "select only what is no part of another",
    ),
    "package and core, added": (
        computed(f"{PACKAGE} + {CORE}"),
        "E-FLOW-DOUBLE",
        "the formula of `x` counts `core` of domain twice: it is a part of `package`",
        f"leave `{CORE}` out, or subtract it where the rest of `package` is meant",
    ),
    "package and psys, added": (
        computed(f"{PACKAGE} + {PSYS}"),
        "E-FLOW-DOUBLE",
        "the formula of `x` counts `cpu_package` of resource twice: it is a part of `machine`",
        f"leave `{PACKAGE}` out, or subtract it where the rest of `machine` is meant",
    ),
    "all domains in a formula": (
        computed("sum(hw.energy)"),
        "E-FLOW-DOUBLE",
        "would count `hw.energy` twice: `core` of domain is a part of `package`",
        "select only what is no part of another",
    ),
    "thousandths of joules where joules are due, as whole numbers": (
        [("power-meter", {"gives": "energy"}), ("joule-store", {})],
        "E-FLOW-UNIT",
        "`joule-store` cannot take `socket.energy` in `mJ`, it needs `J`",
        "put `convert` before `joule-store`",
    ),
    "watts where joules are due": (
        [("power-meter", {}), ("joule-store", {})],
        "E-FLOW-UNIT",
        "`joule-store` cannot take `socket.power` in `W`, it needs `J`",
        "put `power-to-energy` before `joule-store`",
    ),
    "watts and joules, added": (
        [("power-meter", {}), ("rapl", {}), ("attribution", {"formulas": {"x": f"socket.power + {PSYS}"}})],
        "E-FLOW-UNIT",
        "the formula of `x` adds `J` to `W`",
        "add metrics of one dimension only",
    ),
    "joules, integrated": (
        [("rapl", {}), ("integrate", {"metrics": ["hw.energy"]})],
        "E-FLOW-KIND",
        "`integrate` cannot take `hw.energy` as `delta`, it takes `gauge`",
        "`hw.energy` is what `integrate` gives, `delta` in `J`, already: leave `integrate` and its options out",
    ),
    "a count, integrated": (
        [("rapl", {}), ("integrate", {"metrics": ["meter.wrap.count"]})],
        "E-FLOW-KIND",
        "`integrate` cannot take `meter.wrap.count` as `delta`, it takes `gauge`",
        "leave `integrate` and its options out",
    ),
    "an estimate beside a measurement": (
        [("rapl", {}), ("estimate", {"tdp": "65W"})],
        "E-FLOW-CLASH",
        "`estimate` and `rapl` both give `hw.energy`: the same series twice",
        "leave one out",
    ),
    "counters that move each 1 ms": (
        paced("rapl", "100us"),
        "E-CONFIG-RANGE",
        "`interval` of `rapl` is `100us`, less than `1ms`",
        'take "1ms" or more',
    ),
    "counters of GPUs that move each 100 ms": (
        paced("nvml", "20ms"),
        "E-CONFIG-RANGE",
        "`interval` of `nvml` is `20ms`, less than `100ms`",
        'take "100ms" or more',
    ),
    "sensors behind a slow bus": (
        paced("hwmon", "10ms"),
        "E-CONFIG-RANGE",
        "`interval` of `hwmon` is `10ms`, less than `100ms`",
        'take "100ms" or more',
    ),
    "ticks of the kernel": (
        paced("cpu", "5ms"),
        "E-CONFIG-RANGE",
        "`interval` of `cpu` is `5ms`, less than `10ms`",
        'take "10ms" or more',
    ),
    "estimates from ticks": (
        paced("estimate", "5ms", tdp="65W"),
        "E-CONFIG-RANGE",
        "`interval` of `estimate` is `5ms`, less than `10ms`",
        'take "10ms" or more',
    ),
}


@pytest.mark.parametrize(("chain", "code", "message", "mends"), REFUSED.values(), ids=REFUSED)
def test_wrong_joules_are_refused(chain: Chain, code: str, message: str, mends: str) -> None:
    """One cause is one error, which points into the script, names both sides and says what to write."""
    found = refused(chain)

    assert found.code == code
    assert message in found.message
    assert mends in found.help
    assert found.spans[0].file == __file__


def test_the_metrics_that_are_offered_are_taken() -> None:
    """What is offered for an option that lacks is no other fault: a filter of energy is offered energy."""
    offered = "*{kind=delta,unit=kW.h}"
    found = refused([("rapl", {}), ("carbon", {"country": "FRA"})])

    assert found.code == "E-CONFIG-MISSING"
    assert f"`'metrics={offered}'`" in found.help
    assert backend([("rapl", {}), ("carbon", {"country": "FRA", "metrics": [offered]})]).check(assume=True)


@pytest.mark.parametrize("over", [["domain", "resource"], ["resource", "domain"]], ids=" ".join)
@pytest.mark.parametrize(
    ("asked", "offered"),
    [("hw.energy", "hw.energy{domain=dram|package}"), ("hw.energy{domain=package|psys}", "hw.energy{domain=package}")],
)
def test_the_sum_that_is_offered_is_one(asked: str, offered: str, over: list[str]) -> None:
    """What is offered in place of a sum that counts joules twice is taken, and is there without a counter of psys."""

    def chain(selector: str) -> Chain:
        return [("rapl", {}), ("aggregate", {"metrics": [selector], "function": "sum", "over": over})]

    assert f"'metrics={offered}'" in refused(chain(asked)).help
    assert backend(chain(offered)).check(assume=True).schema["collect"]


@pytest.mark.parametrize(
    "chain",
    [
        summed("hw.energy{domain=package|dram}"),
        computed(f"{PACKAGE} - {CORE}"),
        computed("sum(hw.energy{domain=core}) / 2"),
        [("power-meter", {}), ("integrate", {"metrics": ["socket.power"]})],
        [
            ("power-meter", {"gives": "energy"}),
            ("convert", {"metrics": ["socket.energy"], "unit": "J", "keep": False}),
            ("joule-store", {}),
        ],
        paced("rapl", "1ms"),
        paced("nvml", "100ms"),
    ],
)
def test_right_joules_are_not(chain: Chain) -> None:
    """What the help says to write instead, and what is at a bound."""
    assert backend(chain).check(assume=True).order
