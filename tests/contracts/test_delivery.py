"""What outputs would mix up: names that fall together, parts of the key that they do not carry."""

import pytest

from meter.contracts import names
from tests.contracts.build import codes, metric, one, output, run, source

PROMETHEUS = output("prom", more='names = "prometheus"')
CORES = 'resource = ["cpu_core"]\nattributes = { mode = ["user", "idle"] }'


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("system.cpu.time", "s", "counter", "system_cpu_time_seconds_total"),
        ("system.memory.usage", "By", "gauge", "system_memory_usage_bytes"),
        ("system.disk.io.rate", "By/s", "gauge", "system_disk_io_rate_bytes_per_second"),
        ("system.cpu.utilization", "1", "gauge", "system_cpu_utilization_ratio"),
        ("system.process.count", "{process}", "gauge", "system_process_count"),
        ("packets_total", "{packet}", "counter", "packets_total"),
        ("hw.energy", "J", "counter", "hw_energy_joules_total"),
        ("a..b--c", "1", "counter", "a_b_c_total"),
        ("2xx", "1", "delta", "_2xx"),
        ("t.celsius", "Cel", "gauge", "t_celsius"),
        ("speed", "m/s", "gauge", "speed_meters_per_second"),
        ("odd", "kg.m", "gauge", "odd_kg_m"),
    ],
)
def test_prometheus_names(name: str, unit: str, kind: str, expected: str) -> None:
    """By the compatibility rules of OpenTelemetry."""
    assert names.metric("prometheus", name, unit, kind) == expected


def test_two_metrics_that_fall_on_one_name() -> None:
    """Refused with both names and the one that they would have."""
    both = source("s", metric("a.b"), metric("a_b"))
    document = one(run("s prom", both, PROMETHEUS), "E-FLOW-CLASH")

    assert document["message"] == "`prom` writes `a.b` and `a_b` both as `a_b_ratio`"


def test_two_attributes_that_fall_on_one_name() -> None:
    """Refused as well."""
    more = 'resource = ["machine"]\nattributes = { "a.b" = ["1"], "a_b" = ["1"] }'
    document = one(run("s prom", source("s", metric("m", more=more)), PROMETHEUS), "E-FLOW-CLASH")

    assert document["message"] == "`prom` writes the attributes `a.b` and `a_b` of `m` both as `a_b`"


def test_metrics_that_the_output_does_not_get_do_not_clash() -> None:
    """What is routed elsewhere has its name elsewhere."""
    both = source("s", metric("a.b"), metric("a_b"))
    more = 'config.prom.metrics = ["a.b"]'

    assert codes(run("s prom sink", both, PROMETHEUS, output(), more=more)) == []


@pytest.mark.parametrize(
    ("drop", "more", "expected"),
    [
        ('["mode"]', CORES, ["E-FLOW-IDENTITY"]),
        ('["resource"]', CORES, ["E-FLOW-IDENTITY"]),
        ('["consumer"]', CORES, []),
        ('["colour"]', CORES, []),
        ('["mode"]', 'resource = ["machine"]\nattributes = { mode = ["user"] }', []),
        ('["mode"]', 'resource = ["machine"]\nattributes = { mode = "str" }', ["E-FLOW-IDENTITY"]),
    ],
)
def test_parts_of_the_key_that_are_not_carried(drop: str, more: str, expected: list[str]) -> None:
    """Where they tell series apart, series would be written as one."""
    sink = output("sink", f'[[needs.metrics]]\nmetric = "*"\ndrop = {drop}\n')

    assert codes(run("s sink", source("s", metric("m", more=more)), sink)) == expected


def test_two_variants_that_only_a_dropped_part_tells_apart() -> None:
    """One value each, but another one."""
    shapes = [metric("m", more=f'resource = ["machine"]\nattributes = {{ mode = ["{word}"] }}') for word in "ab"]
    sink = output("sink", '[[needs.metrics]]\nmetric = "*"\ndrop = ["mode"]\n')
    document = one(run("s sink", source("s", *shapes), sink), "E-FLOW-IDENTITY")

    assert document["message"] == "`sink` does not carry `mode`, which tells series of `m` apart"
