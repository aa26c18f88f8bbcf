"""How outputs write names: translations of metrics and attributes into what a format has.

Here and not in the outputs, because the check has to know whether two metrics fall on one name.

Source: Prometheus data model; OpenTelemetry specification, Prometheus and OpenMetrics compatibility (name, unit and
`_total`), 1.49; Graphite, feeding in your data. The words for units stand in CONTRACT.ini.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from meter.contracts.language import language

_PROMETHEUS: Final = re.compile(r"[^A-Za-z0-9_:]+")
_LABEL: Final = re.compile(r"[^A-Za-z0-9_]+")
_GRAPHITE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_RUNS: Final = re.compile(r"__+")
_ANNOTATION: Final = re.compile(r"\{[^{}]*\}")


def metric(style: str, name: str, unit: str, kind: str) -> str:
    """The name of a metric in a style, a section [names …] of CONTRACT.ini."""
    return _METRICS[style](name, unit, kind)


def attribute(style: str, name: str) -> str:
    """The name of an attribute in a style."""
    return _ATTRIBUTES[style](name)


def _prometheus(name: str, unit: str, kind: str) -> str:
    base = _plain(_PROMETHEUS, name)
    suffixes = [_unit(unit, kind)]
    if kind == "counter":
        base = base.removesuffix("_total")
        suffixes.append("total")
    for suffix in filter(None, suffixes):
        if not base.endswith(f"_{suffix}"):
            base += f"_{suffix}"
    return base


def _unit(unit: str, kind: str) -> str:
    """The unit as the end of a name: `seconds`, `bytes_per_second`; empty for a plain number that is no gauge."""
    if unit == "1":
        return "ratio" if kind == "gauge" else ""
    above, _, below = _ANNOTATION.sub("", unit).partition("/")
    words = [_words("units").get(above, above)]
    if below:
        words += ["per", _words("per").get(below, below)]
    return _RUNS.sub("_", _LABEL.sub("_", "_".join(filter(None, words)))).strip("_")


@lru_cache(maxsize=4)
def _words(key: str) -> Mapping[str, str]:
    """The words of units, by the unit."""
    pairs = (pair.partition("=") for pair in language().words["names"]["prometheus"][key].split())
    return {unit: word for unit, _, word in pairs}


def _plain(other: re.Pattern[str], name: str) -> str:
    """A name with `_` for each run of what the format does not have; none begins with a digit."""
    text = _RUNS.sub("_", other.sub("_", name))
    return f"_{text}" if text[:1].isdigit() else text


_METRICS: Final[Mapping[str, Callable[[str, str, str], str]]] = {
    "plain": lambda name, _unit, _kind: name,
    "prometheus": _prometheus,
    "graphite": lambda name, _unit, _kind: _GRAPHITE.sub("_", name),
}
_ATTRIBUTES: Final[Mapping[str, Callable[[str], str]]] = {
    "plain": lambda name: name,
    "prometheus": lambda name: _plain(_LABEL, name),
    "graphite": lambda name: _GRAPHITE.sub("_", name),
}
