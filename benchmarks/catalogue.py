"""Catalogues of many contracts: what reading them and checking one large backend costs, and how it grows.

The contracts are made, not found: in ten there are eight sources with two metrics each and a choice of attribute
values, and two filters, one of which names its metric in the contract and one in an option. One in fifty of a backend
is an output. Each contract is text, of which the catalogue reads what is asked for; the check goes through every stage.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Final

from benchmarks.figure import Figure, absent
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.contracts.language import language

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNTED = 10
"""One contract in ten is in the backend."""
REPEATS: Final = 5
BOUND_S: Final = 60.0
"""A catalogue is not tried where one that is smaller makes it likely to take longer than this."""

_HEAD = """\
contract = 1
name = "{name}"
version = "1.{number}.0"
interface = ">=1,<2"
placement = "{placement}"
summary = "Made for a benchmark"
author = "A. Author <a@example.org>"
licence = "BSD-3-Clause"
status = ["maintained", "unittest"]
"""
_SOURCE = """
[provides]
capabilities = {{ "bench.energy.{number}" = "1.0" }}

[[provides.metrics]]
name = "bench.{name}.energy"
type = "f64"
unit = "J"
kind = "delta"
resource = ["cpu_package"]
attributes = {{ domain = ["package", "core", "uncore"] }}

[[provides.metrics]]
name = "bench.{name}.temperature"
type = "f64"
unit = "Cel"
kind = "gauge"
resource = ["sensor"]

[[needs.host]]
readable = ["/sys/class/powercap/*/energy_uj"]

[config.interval]
type = "duration"
default = "1s"
min = "1ms"
"""
_LITERAL = """
[[needs.metrics]]
metric = "bench.{source}.energy"
unit = "J"
kind = ["delta"]
gives = {{ name = "${{metric}}.mean", kind = "gauge", unit = "W" }}
"""
_ASKED = """
[[needs.metrics]]
metric = "${{config.metrics}}"
kind = ["delta"]
gives = {{ name = "${{metric}}.rate", kind = "gauge", unit = "${{unit}}/s" }}

[config.metrics]
type = "list<metric>"
"""
_OUTPUT = """
[[needs.metrics]]
metric = "${{config.metrics}}"

[config.path]
type = "path"
access = "write"
"""


def contract(number: int) -> tuple[str, str, bytes]:
    """The name, path and text of the contract of a number."""
    name, source = f"p{number}", f"p{number - number % 10}"
    placement, body = "source", _SOURCE
    if number % 50 == 7:
        placement, body = "output", _OUTPUT
    elif number % 10 == 8:
        placement, body = "filter", _LITERAL
    elif number % 10 == 9:
        placement, body = "filter", _ASKED
    text = (_HEAD + body).format(name=name, number=number, placement=placement, source=source)
    return name, f"/bench/{name}/contract.toml", text.encode()


def words(count: int) -> list[str]:
    """The words that mount the first so many contracts."""
    found: list[str] = []
    for number in range(count):
        found.append(f"p{number}")
        if number % 50 == 7:
            found.append(f"path=/bench/{number}.out")
        elif number % 10 == 9:
            found.append(f"metrics=bench.p{number - 9}.energy")
    return found


def once(count: int) -> tuple[float, float]:
    """CPU seconds for a catalogue of so many contracts, and for checking a backend of a tenth, reading these."""
    files = [contract(number) for number in range(count)]
    asked = words(count // MOUNTED)
    begin = time.process_time()
    catalogue = Catalogue.of(files)
    read = time.process_time()
    request, found = from_words("/bench", asked, ["mount", "/bench"])
    assert request is not None, found
    checked = check(request, catalogue, Assumed())
    end = time.process_time()
    assert checked.plan is not None, checked.diagnostics[0].message
    assert len(checked.plan.document["plugins"]) == count // MOUNTED
    return read - begin, end - read


def every(count: int) -> float:
    """CPU seconds for reading every contract of a catalogue, as a list of plugins or a wrong name makes it do."""
    catalogue = Catalogue.of([contract(number) for number in range(count)])
    begin = time.process_time()
    assert sum(1 for _ in catalogue.contracts()) == count
    return time.process_time() - begin


def figures() -> Iterator[Figure]:
    """1,000 and 10,000 contracts with a tenth mounted, in process, and the growth for each doubling."""
    language()
    once(500)  # what is imported and compiled only once is not the catalogue's
    rounds: dict[int, list[tuple[float, float]]] = {}
    for count in (500, 1000, 2000, 5000, 10_000):
        if rounds and 10 * sum(map(sum, rounds[max(rounds)])) / len(rounds[max(rounds)]) > BOUND_S:
            break
        rounds[count] = [once(count) for _ in range(REPEATS)]
    total = {count: statistics.median(map(sum, took)) for count, took in rounds.items()}
    largest = max(total)
    for count, bar in ((1000, 0.5), (10_000, 5.0)):
        name = f"catalogue of {count:,}, {count // MOUNTED:,} mounted"
        if count not in total:
            yield absent(name, "s", f"not tried, as {largest:,} took {total[largest]:.2f} s")
            continue
        yield Figure(name, total[count], None, "", "s", bar, "s", note="CPU seconds")
        parts = [statistics.median(part) for part in zip(*rounds[count], strict=True)]
        yield Figure("  finding the contracts", parts[0], total[count], "the whole", "s", None)
        yield Figure("  reading a tenth, checking the backend", parts[1], total[count], "the whole", "s", None)
        yield Figure("  reading every contract instead", every(count), total[count], "the whole", "s", None)
    for count in (500, 1000, 5000):
        name = f"  growth from {count:,} to {2 * count:,} contracts"
        if 2 * count in total:
            yield Figure(name, total[2 * count], total[count], f"{count:,} contracts", "s", 2.6)
