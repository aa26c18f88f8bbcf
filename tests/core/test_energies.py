"""The energy of a machine: what may be summed, what is missing, and whose it is."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.language import language
from meter.core import Quantity, attributing, energies, totals
from meter.core.discovery import discover
from meter.core.keys import Key, Metric


class Counted(NamedTuple):
    """A series of energy."""

    key: Key
    value: float | None
    statistic: str = "sum"
    missing: int = 0
    reasons: tuple[str, ...] = ()
    span_s: float = 2.0
    whole: bool = True


def joules(
    value: float | None, resource: tuple[str, str], quality: str = "measured", *, consumer: str = "", **attributes: str
) -> Counted:
    """A series of `hw.energy`."""
    metric = Metric("hw.energy", "f64", "J", "delta", additive=True, quality=quality)
    whose = ("process", consumer) if consumer else ("machine", "")
    key = Key(metric, resource, whose, attributes.items())
    return Counted(key, value, reasons=() if value is not None else ("EIO",))


RAPL: Final[tuple[dict[str, Any], ...]] = tuple(
    {"origin": "", "resource": [kind], "attributes": {"domain": values}, "parts": {"domain": parts}}
    for kind, values, parts in (
        ("cpu_package", ["package", "core", "uncore"], {"core": "package", "uncore": "package"}),
        ("dram", ["dram"], {}),
        ("machine", ["psys"], {}),
    )
)
"""What a source of energy declares whose values of `domain` are parts of others."""


def structure(emits: tuple[dict[str, Any], ...] = ()) -> energies.Structure:
    """The tree of kinds of the contract language, and what sources declare."""
    return energies.Structure(
        {kind: says.get("parent", "") for kind, says in language().words["resource"].items()}, emits
    )


def names(energy: energies.Energy) -> list[str]:
    """The lines of its table."""
    return [name for name, _ in energies.lines(energy.to_json())]


@pytest.mark.parametrize(
    ("series", "total"),
    [
        ([], Quantity.missing("J", "none")),
        ([joules(3.5, ("machine", ""))], Quantity(3.5, "J")),
        # What is of a part of the machine is not the machine's own number.
        ([joules(3.5, ("cpu_package", "0"))], Quantity(3.5, "J", "derived")),
        ([joules(1, ("cpu_package", "0")), joules(2, ("cpu_package", "1"))], Quantity(3, "J", "derived")),
        ([joules(1, ("cpu_package", "0")), joules(2, ("gpu", "0"), "estimated")], Quantity(3, "J", "estimated")),
        # An attribute divides the package, or names it as a whole: it is not known which.
        (
            [joules(5, ("cpu_package", "0"), domain="package"), joules(2, ("cpu_package", "0"), domain="core")],
            Quantity.missing("J", "some of these may be parts of others: package-0, core-0"),
        ),
        # The machine as a whole holds its package, and is another view.
        ([joules(9, ("machine", "")), joules(5, ("cpu_package", "0"))], Quantity(5, "J", "derived")),
        # A package holds its cores, and a GPU its partitions.
        (
            [joules(10, ("cpu_package", "0")), joules(4, ("cpu_core", "0"))],
            Quantity.missing("J", "some of these may be parts of others: cpu_package-0, cpu_core-0"),
        ),
        (
            [joules(9, ("gpu", "0")), joules(4, ("gpu_partition", "0"))],
            Quantity.missing("J", "some of these may be parts of others: gpu-0, gpu_partition-0"),
        ),
        # A part is not taken for the whole.
        ([joules(1, ("gpu", "0")), joules(None, ("gpu", "1"))], Quantity.missing("J", "gpu-1: EIO")),
        # What was attributed to a process is in that of the machine.
        (
            [joules(5, ("cpu_package", "0")), joules(2, ("cpu_package", "0"), consumer="7")],
            Quantity(5, "J", "derived"),
        ),
    ],
)
def test_joules_are_never_counted_twice(series: list[Counted], total: Quantity) -> None:
    """The total is a sum where no two series can hold the same joules, and missing otherwise."""
    assert energies.energy(series, "none", structure()).total == total


@pytest.mark.parametrize(
    ("series", "total"),
    [
        ({"package": 1000, "core": 600, "dram": 100}, Quantity(1100, "J", "derived")),
        ({"package": 1000, "core": 600, "uncore": 50, "psys": 1500}, Quantity(1000, "J", "derived")),
        ({"package": 1000, "core": None, "psys": None}, Quantity(1000, "J", "derived")),
        ({"psys": 1500}, Quantity(1500, "J")),
        ({"package": 1000, "dram": None}, Quantity.missing("J", "dram-0: EIO")),
        ({"core": 600, "dram": 100}, Quantity.missing("J", "these are parts of what is not measured: core-0")),
    ],
)
def test_energy_is_the_sum_of_what_is_no_part(series: dict[str, float | None], total: Quantity) -> None:
    """Of domains that a contract declares to be parts of others the wholes are added up; psys is another view."""
    kinds = {"dram": ("dram", "0"), "psys": ("machine", "")}
    known = [joules(each, kinds.get(name, ("cpu_package", "0")), domain=name) for name, each in series.items()]

    assert energies.energy(known, "none", structure(RAPL)).total == total


VENDORS: Final[tuple[dict[str, Any], ...]] = tuple(
    {"origin": origin, "resource": ["gpu"], "attributes": {"hw.vendor": [vendor]}, "parts": {}}
    for origin, vendor in (("one", "AMD"), ("two", "NVIDIA"))
)
"""What two sources declare that each know the GPUs of one vendor."""


@pytest.mark.parametrize(
    ("emits", "ids", "total"),
    [
        (VENDORS, ("0", "1"), Quantity(3, "J", "derived")),
        # One GPU that two sources see, though only one can be right.
        (VENDORS, ("0", "0"), Quantity.missing("J", "some of these may be parts of others: gpu-0, gpu-0")),
        # A source that knows several values of an attribute may part one thing with it.
        (
            ({"origin": "one", "resource": ["gpu"], "attributes": {"hw.vendor": ["AMD", "NVIDIA"]}, "parts": {}},),
            ("0", "1"),
            Quantity.missing("J", "some of these may be parts of others: gpu-0 hw.vendor=AMD, gpu-1 hw.vendor=NVIDIA"),
        ),
    ],
)
def test_an_attribute_that_says_whose_a_series_is_parts_nothing(
    emits: tuple[dict[str, Any], ...], ids: tuple[str, str], total: Quantity
) -> None:
    """GPUs of two vendors are different things, and are called without the vendor."""
    series = [
        joules(joule, ("gpu", id_), **{"hw.vendor": vendor})
        for joule, id_, vendor in zip((1, 2), ids, ("AMD", "NVIDIA"), strict=True)
    ]

    assert energies.energy(series, "none", structure(emits)).total == total


def test_what_may_not_be_summed_is_no_part_of_the_total() -> None:
    """As of a sensor that shows what another source counts, too; alone it gives no total."""
    sensor = joules(7, ("sensor", "hwmon0.energy1"))
    metric = sensor.key.metric._replace(additive=False, origin="hwmon")
    shown = sensor._replace(key=Key(metric, sensor.key.resource, sensor.key.consumer, ()))
    both = energies.energy([joules(5, ("cpu_package", "0")), shown], "none", structure())

    assert both.total == Quantity(5, "J", "derived")
    assert [(domain.energy.value, domain.counted) for domain in both.domains] == [(5, True), (7, False)]
    assert "energy of sensor-hwmon0.energy1 (not in the total)" in names(both)
    assert energies.energy([shown], "none", structure()).total.value is None


def test_each_domain_says_whether_it_is_counted_and_why_not() -> None:
    """Parts name their whole, a view what it holds; what is declared and not there is missing, and never 0."""
    known = [
        joules(1000, ("cpu_package", "0"), domain="package"),
        joules(600, ("cpu_package", "0"), domain="core"),
        joules(1500, ("machine", ""), domain="psys"),
    ]
    whole = energies.energy(known, "none", structure(RAPL))
    found = whole.domains
    lacks = "this machine has no counter for it"

    assert [(domain.name, domain.energy.value, domain.counted) for domain in found] == [
        ("package-0", 1000, True),
        ("core-0", 600, False),
        ("psys", 1500, False),
        ("dram", None, False),
    ]
    assert [name for name in names(whole) if name.startswith("energy of")] == [
        "energy of package-0",
        "energy of core-0 (part of package-0)",
        "energy of psys (another view of package-0)",
        "energy of dram",
    ]
    assert found[3].energy == Quantity.missing("J", lacks)


def test_a_total_without_the_processors_says_so() -> None:
    """Every machine has them: where only GPUs are measured, a line says why the sum is without what they take."""
    gpu, package = joules(420, ("gpu", "0")), joules(100, ("cpu_package", "0"))
    why = "`counters` cannot be used: no such file"
    alone = energies.energy([gpu], why, structure())

    assert alone.total == Quantity(420, "J", "derived")
    assert dict(energies.lines(alone.to_json()))["energy of cpu_package"] == Quantity.missing("J", why)
    assert "energy of cpu_package" not in names(energies.energy([gpu, package], why, structure()))
    assert "energy of cpu_package" not in names(energies.energy([joules(500, ("machine", ""))], why, structure()))


def test_a_table_has_a_line_for_each_kind() -> None:
    """What a core has used is in its package's number, so that they are not one sum."""
    metrics = [totals.to_json(each) for each in (joules(10, ("cpu_package", "0")), joules(4, ("cpu_core", "0")))]
    lines = totals.summary({**metric, "metric": "hw.work"} for metric in metrics).lines
    assert [(name, quantity.value) for name, quantity in lines] == [
        ("hw.work cpu_package", 10),
        ("hw.work cpu_core", 4),
    ]


def test_one_reason_is_told_once() -> None:
    """Of all lines that it is the reason of, in their order; what is as it should be needs no word."""
    lines = [
        ("energy of gpu-0", Quantity(5, "J", "derived", "it has no counter")),
        ("energy of gpu-1", Quantity.missing("J", "it is lost")),
        ("duration", Quantity(1, "s")),
        ("energy of gpu-2", Quantity(6, "J", "derived", "it has no counter")),
        ("energy", Quantity.missing("J", "it has no counter")),
    ]

    assert totals.remarks(lines) == [
        "energy of gpu-0 and energy of gpu-2 are derived: it has no counter",
        "energy of gpu-1 is missing: it is lost",
        "energy is missing: it has no counter",
    ]


def test_a_table_sums_only_what_may_be_summed() -> None:
    """Joules of two packages are one line, temperatures of two sensors are two; energy has lines of its own."""
    heat = Metric("hw.temperature", "f64", "Cel", "gauge", additive=False)
    warm = [Counted(Key(heat, ("sensor", name), ("machine", ""), ()), 40.0, "mean") for name in "ab"]
    both = [totals.to_json(each) for each in (joules(1, ("cpu_package", "0")), joules(2, ("cpu_package", "1")))]
    metrics = [*both, *({**each, "metric": "hw.work"} for each in both), *map(totals.to_json, warm)]
    lines = totals.summary(metrics).lines
    assert [(name, quantity.value) for name, quantity in lines] == [
        ("hw.work", 3),
        ("hw.temperature sensor/a, mean", 40.0),
        ("hw.temperature sensor/b, mean", 40.0),
    ]


def test_a_table_has_a_line_for_the_power_of_each_thing() -> None:
    """A sum would look the same whether or not one of several GPUs says its power."""
    power = Metric("hw.power", "f64", "W", "gauge", additive=True)
    series = [
        Counted(Key(power, ("gpu", name), ("machine", ""), ()), watts, "mean") for name, watts in (("a", 1), ("b", 2))
    ]
    lines = totals.summary(map(totals.to_json, series)).lines

    assert [(name, quantity.value) for name, quantity in lines] == [
        ("hw.power gpu/a, mean", 1),
        ("hw.power gpu/b, mean", 2),
    ]


def test_qualities_are_ranked_as_the_contract_language_ranks_them() -> None:
    """The light path does not read CONTRACT.ini; what it knows of it is what stands there."""
    declared = [word for word, says in language().words["quality"].items() if says.get("declared") != "no"]
    assert list(totals.QUALITIES) == declared


# ----------------------------------------------------------------------------------------- what is not whole, and power


def test_what_was_read_before_a_thing_was_lost_is_not_its_energy() -> None:
    """It is missing in its own line as in the total; the joules until then stand apart, with the reason."""
    lost = joules(120, ("gpu", "1"))._replace(whole=False, missing=3, reasons=("GPU is lost",))
    found = energies.energy([joules(750, ("gpu", "0")), lost], "", structure())
    kept, gone = found.domains

    assert found.total.value is None
    assert found.power.value is None
    assert (gone.energy.value, gone.partial) == (None, Quantity(120, "J"))
    assert gone.energy.reason == "GPU is lost; the 120 J that were read are not all of it"
    assert (kept.energy.value, kept.partial) == (750, None)
    assert (gone.to_json()["value"], gone.to_json()["partial"]["value"]) == (None, 120)


def test_a_gap_that_a_later_reading_covers_is_no_gap() -> None:
    """A counter that could not be read once has counted on."""
    found = energies.energy(
        [joules(100, ("cpu_package", "0"))._replace(missing=1, reasons=("EIO",))], "none", structure()
    )

    assert (found.total.value, found.domains[0].partial) == (100, None)


@pytest.mark.parametrize("gave", [True, False])
def test_a_source_that_failed_is_no_part_left_out_in_silence(*, gave: bool) -> None:
    """Whether it gave something before or nothing at all: the total is missing, and says which source it was."""
    emits = ({"origin": "nvml", "resource": ["gpu"], "attributes": {}, "parts": {}},)
    metric = joules(9, ("gpu", "0")).key.metric._replace(origin="nvml")
    of_gpu = Counted(Key(metric, ("gpu", "0"), ("machine", ""), ()), 9)
    series = [joules(5, ("cpu_package", "0")), *([of_gpu] if gave else [])]
    found = energies.energy(series, "none", structure(emits), {"nvml": "`nvml` raised", "cpu": "`cpu` raised"})

    assert found.total.value is None
    assert "`nvml` raised" in (found.total.reason or "")
    assert "`cpu`" not in (found.total.reason or "")


def test_the_mean_power_is_that_of_the_time_that_was_read() -> None:
    """Of each domain and of the total; a computed number is `derived`."""
    found = energies.energy(
        [joules(300, ("cpu_package", "0")), joules(50, ("dram", "0"))._replace(span_s=0.5)], "none", structure()
    )

    assert [domain.power for domain in found.domains] == [Quantity(150, "W", "derived"), Quantity(100, "W", "derived")]
    assert found.power == Quantity(250, "W", "derived")
    assert {"power, mean", "power of cpu_package-0, mean"} <= set(names(found))


def test_no_time_has_no_power() -> None:
    """And no division by zero."""
    found = energies.energy([joules(0, ("cpu_package", "0"))._replace(span_s=0)], "none", structure())

    assert (found.domains[0].power.value, found.power.value) == (None, None)


# ------------------------------------------------------------------------------------------------------- whose it is

SHARE: Final = Quantity(0.25, "1", "estimated")


def busy(**modes: float) -> list[Counted]:
    """How long one processor was in which mode."""
    metric = Metric("system.cpu.time", "f64", "s", "delta", additive=True)
    of = ("cpu_core", "0")
    return [Counted(Key(metric, of, ("machine", ""), (("cpu.mode", mode),)), value) for mode, value in modes.items()]


@pytest.mark.parametrize(
    ("modes", "cpu", "share"),
    [
        ({"user": 3, "system": 1, "idle": 90, "iowait": 5, "steal": 7}, 1, 0.25),
        ({"user": 1, "guest": 2, "nice": 0.5, "interrupt": 0.5}, 1, 0.25),
        # The processors' time is counted in ticks, the command's is not.
        ({"user": 0.99, "system": 0.0}, 1, 1.0),
        ({"user": 4}, 0, 0.0),
    ],
)
def test_the_share_is_of_the_time_that_processors_were_busy(modes: dict[str, float], cpu: float, share: float) -> None:
    """Waiting, idling and what a hypervisor took are no use; machines inside of this one are."""
    found = attributing.share(busy(**modes), Quantity(cpu, "s"))

    assert (found.value, found.unit, found.quality) == (share, "1", "estimated")


@pytest.mark.parametrize(
    ("series", "cpu", "why"),
    [
        ([], Quantity(1, "s"), "no source says how long the processors were busy"),
        (busy(idle=5.0), Quantity(1, "s"), "no source says how long the processors were busy"),
        (busy(user=0.0), Quantity(0, "s"), "were busy for less than the kernel counts"),
        (busy(user=1.0), Quantity(2, "s"), "its CPU time of 2 s is more than the 1 s of all processors"),
        (busy(user=1.0), Quantity.missing("s", "it was forked"), "its CPU time is missing: it was forked"),
        ([busy(user=1.0)[0]._replace(whole=False, reasons=("EIO",))], Quantity(1, "s"), "is not known: EIO"),
        ([busy(user=1.0)[0]._replace(value=None, reasons=("EIO",))], Quantity(1, "s"), "is not known: EIO"),
    ],
)
def test_no_share_is_made_up(series: list[Counted], cpu: Quantity, why: str) -> None:
    """It is missing where one of both times is, and where they cannot belong together; joules are so, too."""
    found = attributing.share(series, cpu)
    parted = attributing.parted(energies.energy([joules(5, ("cpu_package", "0"))], "", structure()), found)

    assert found.value is None
    assert why in (found.reason or "")
    assert (parted.attributed, parted.unattributed) == (Quantity.missing("J", found.reason or ""),) * 2
    assert parted.total.value == 5


def test_processors_and_their_memory_are_parted() -> None:
    """A part as its whole; what is another view, and what is missing, is not."""
    known = [
        joules(1000, ("cpu_package", "0"), domain="package"),
        joules(600, ("cpu_package", "0"), domain="core"),
        joules(100, ("dram", "0"), domain="dram"),
        joules(1500, ("machine", ""), domain="psys"),
    ]
    found = attributing.parted(energies.energy(known, "", structure(RAPL)), SHARE)

    assert [domain.attributed.value for domain in found.domains] == [250, 150, 25, None]
    assert (found.attributed.value, found.attributed.quality) == (275, "estimated")
    assert found.attributed.reason == "by CPU time, 25 % of what the processors were busy"
    assert found.unattributed == Quantity(825, "J", "estimated")


def test_what_cpu_time_says_nothing_of_is_not_attributed() -> None:
    """It is in the rest, and the number that is without it names it."""
    both = energies.energy([joules(8, ("cpu_package", "0")), joules(90, ("gpu", "0"))], "", structure())
    found = attributing.parted(both, SHARE)
    alone = attributing.parted(energies.energy([joules(90, ("gpu", "0"))], "", structure()), SHARE)

    assert (found.attributed.value, found.unattributed.value) == (2, 96)
    assert "; without gpu-0: no source says whose it is" in (found.attributed.reason or "")
    assert (alone.attributed.value, alone.unattributed) == (None, alone.total)
    assert "gpu-0: no source says whose it is" in (alone.attributed.reason or "")


GPU: Final = ("gpu", "0")
MINE, OTHERS = "1000", "2000"


def on_gpus(busy: float | None, *, gpu: str = "0", **had: float) -> list[Counted]:
    """What a source says of whose the energy of a GPU is: all that processes have, and those of each by its id."""
    metric = Metric("hw.gpu.energy.busy", "f64", "J", "delta", additive=True, quality="derived")
    each = metric._replace(name="process.gpu.energy", quality="estimated")
    of = ("gpu", gpu)
    why = () if busy is not None else ("Not Supported",)
    parts = [Counted(Key(each, of, ("process", pid.strip("_")), ()), value) for pid, value in had.items()]
    return [Counted(Key(metric, of, ("machine", ""), ()), busy, reasons=why), *parts]


def test_the_energy_of_a_gpu_is_attributed_as_a_source_has_parted_it() -> None:
    """The command has what its processes have; what others have, and what nobody has, is in the rest."""
    series = [joules(8, ("cpu_package", "0")), joules(90, GPU), *on_gpus(60, _1000=40, _2000=20)]
    found = attributing.parted(energies.energy(series, "", structure()), SHARE, attributing.of_gpus(series, [MINE]))

    assert [domain.attributed for domain in found.domains] == [
        Quantity(2, "J", "estimated"),
        Quantity(40, "J", "estimated"),
    ]
    assert (found.attributed.value, found.unattributed.value) == (42, 56)
    assert found.attributed.quality == found.unattributed.quality == "estimated"
    assert found.attributed.reason == (
        "by CPU time, 25 % of what the processors were busy; 44.4 % of gpu-0 by what its processes ran there"
    )


def test_every_process_that_was_followed_counts_on_a_gpu() -> None:
    """The children of a command, too, by the series that each of them has."""
    metric = Metric("process.cpu.time", "f64", "s", "delta", additive=True)
    child = Counted(Key(metric, ("machine", ""), ("process", "1001"), ()), 1)
    series = [joules(90, GPU), *on_gpus(60, _1000=10, _1001=20, _2000=30), child]

    own = attributing.processes(series, int(MINE))

    assert own == {MINE, "1001"}
    assert attributing.of_gpus(series, own) == {(GPU, ()): Quantity(30, "J", "estimated")}
    assert [totals.to_json(each, own)["scope"] for each in series] == [
        *("machine", "machine", "command", "command", "other"),
        "command",
    ]


def test_a_gpu_alone_is_attributed_without_a_share_of_cpu_time() -> None:
    """As on a virtual machine that has a GPU and no counter of its processors."""
    series = [joules(90, GPU), *on_gpus(60, _1000=40)]
    gpus = attributing.of_gpus(series, [MINE])
    found = attributing.parted(energies.energy(series, "", structure()), Quantity.missing("1", "no"), gpus)

    assert (found.attributed.value, found.unattributed.value) == (40, 50)
    assert found.attributed.reason == "44.4 % of gpu-0 by what its processes ran there"


@pytest.mark.parametrize(
    ("series", "foreign", "why"),
    [
        (on_gpus(None), False, "no source says whose it is: Not Supported"),
        ([on_gpus(5, _1000=5)[0]._replace(whole=False, reasons=("GPU 0 has gone",))], False, "GPU 0 has gone"),
        ([on_gpus(0)[0]._replace(span_s=0.9)], False, "what runs there is known only after up to a second"),
        (on_gpus(5, _2000=5), True, "in a container its driver may have other ids of processes"),
        ([], False, "no source says whose it is, and CPU time says nothing of it"),
    ],
)
def test_a_gpu_of_which_it_is_not_known_who_ran_there_is_not_attributed(
    series: list[Counted],
    foreign: bool,  # noqa: FBT001  (a row)
    why: str,
) -> None:
    """It stays in the rest, with the reason; the GPU beside it, of which it is known, is attributed."""
    beside = [] if foreign else on_gpus(60, gpu="1", _1000=40)
    known = [joules(90, GPU), joules(80, ("gpu", "1")), *series, *beside]
    gpus = attributing.of_gpus(known, [MINE], foreign=foreign)
    found = attributing.parted(energies.energy(known, "", structure()), SHARE, gpus)

    assert found.domains[0].attributed.value is None
    assert why in (found.domains[0].attributed.reason or "")
    assert (found.attributed.value, found.unattributed.value) == ((None, 170) if foreign else (40, 130))
    assert why in (found.attributed.reason or "")


@pytest.mark.parametrize(("series", "joule"), [(on_gpus(0), 0), (on_gpus(5, _2000=5), 0), (on_gpus(5, _1000=5), 5)])
def test_who_ran_nothing_has_nothing(series: list[Counted], joule: float) -> None:
    """That is known, and no gap: of a GPU that nobody used, or others did; in a container where its ids are right."""
    foreign = any(total.key.consumer[1] == MINE for total in series)

    assert attributing.of_gpus(series, [MINE], foreign=foreign)[GPU, ()] == Quantity(joule, "J", "estimated")


def test_a_gpu_that_was_lost_is_not_attributed() -> None:
    """What was read of it stays apart, and so does what of that was whose."""
    lost = joules(50, GPU)._replace(whole=False, reasons=("GPU 0 has gone",))
    series = [joules(8, ("cpu_package", "0")), lost, *on_gpus(40, _1000=40)]
    gpus = attributing.of_gpus(series, [MINE])
    found = attributing.parted(energies.energy(series, "", structure()), SHARE, gpus)

    assert found.domains[1].partial == Quantity(50, "J")
    assert found.domains[1].attributed == Quantity.missing("J", "its energy is missing")
    assert (found.domains[0].attributed.value, found.attributed.value) == (2, None)


def test_what_says_whose_it_is_is_declared() -> None:
    """The metrics are those of the sources that give them."""
    declared = {
        metric.name
        for contract in discover(installed=False).catalogue.contracts()
        for metric in contract.provides.metrics
    }

    assert {attributing.CPU_TIME, attributing.HAD, attributing.BUSY, attributing.FOLLOWED} <= declared


def test_without_a_total_nothing_is_attributed_but_what_is_known_of_its_parts() -> None:
    """A sum that lacks a package is no energy, whoever's it is."""
    known = [joules(8, ("cpu_package", "0")), joules(None, ("cpu_package", "1"))]
    found = attributing.parted(energies.energy(known, "", structure()), SHARE)

    assert (found.attributed.value, found.unattributed.value) == (None, None)
    assert [domain.attributed.value for domain in found.domains] == [2, None]


@given(
    energy=st.lists(st.tuples(st.sampled_from(("cpu_package", "dram", "gpu")), st.floats(0, 1e12)), max_size=6),
    share=st.floats(0, 1),
    ran=st.lists(st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=6, max_size=6),
)
def test_both_parts_are_the_whole(
    energy: list[tuple[str, float]], share: float, ran: list[tuple[float, float] | None]
) -> None:
    """For any machine and shares: what is attributed and what is not add up to the total, and neither is below 0."""
    known = [joules(value, (kind, str(place))) for place, (kind, value) in enumerate(energy)]
    mine = 0.0
    for place, ((kind, value), part) in enumerate(zip(energy, ran, strict=False)):
        if kind == "gpu" and part is not None:
            busy = value * part[0]
            known += on_gpus(busy, gpu=str(place), _1000=busy * part[1], _2000=busy * (1 - part[1]))
            mine += busy * part[1]
    gpus = attributing.of_gpus(known, [MINE])
    found = attributing.parted(energies.energy(known, "none", structure()), Quantity(share, "1", "estimated"), gpus)
    total, rest = found.total.value, found.unattributed.value

    assert (total is None) == (rest is None)
    if total is not None and rest is not None:
        assert math.isclose((found.attributed.value or 0) + rest, total, rel_tol=1e-12)
        assert 0 <= rest <= total
        of_cpu = sum(value for kind, value in energy if kind != "gpu")
        assert math.isclose(found.attributed.value or 0, of_cpu * share + mine, rel_tol=1e-9, abs_tol=1e-300)


def test_what_is_parted_by_cpu_time_is_declared() -> None:
    """The kinds are those of the contract language."""
    assert set(language().words["resource"]) >= attributing.BY_CPU_TIME
