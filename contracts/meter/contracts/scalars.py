"""Scalars: the types of single values that CONTRACT.ini names, and what each takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from meter.contracts import options, selectors
from meter.contracts.capabilities import CAPABILITIES
from meter.contracts.constraints import ConstraintError, parse_constraint
from meter.contracts.formula.formula_clauses import ITEM
from meter.contracts.language import language
from meter.contracts.placeholders import CONFIG
from meter.contracts.quantities import parse_duration
from meter.contracts.sysctl import intervals, is_name
from meter.contracts.versions import parse_version, satisfies

_ENTRY: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_CLAIM: Final = re.compile(r"[a-z][a-z0-9-]*:\S+")


def _is_text(raw: Any, check: Callable[[str], Any]) -> bool:
    if not isinstance(raw, str):
        return False
    try:
        return check(raw) is not False
    except ValueError:
        return False


def _scalar_types() -> dict[str, Callable[[Any], str | None]]:
    """For each scalar type a function that says what was wanted, `None` where the value fits."""

    def plain(name: str, fits: Callable[[Any], bool], **facts: str) -> Callable[[Any], str | None]:
        return lambda raw: None if fits(raw) else language().phrase("type", name, "wanted", **facts)

    def text(name: str, check: Callable[[str], Any], **facts: str) -> Callable[[Any], str | None]:
        return plain(name, lambda raw: _is_text(raw, check), **facts)

    units = language().units

    def unit(raw: str) -> bool:
        return not raw or units.parse(raw) is not None

    def named(raw: str) -> bool:
        plain = CONFIG.sub("x", raw).replace("${metric}", "x").replace(ITEM, "x")
        return selectors.METRIC.fullmatch(plain) is not None

    def texts(raw: Any) -> bool:
        return isinstance(raw, dict) and all(isinstance(value, str) for value in raw.values())

    def domain(raw: Any) -> bool:
        listed = isinstance(raw, list) and bool(raw) and all(isinstance(word, str) for word in raw)
        named = isinstance(raw, str) and (raw == "str" or CONFIG.fullmatch(raw) is not None)
        return listed or named

    def selector(raw: str) -> bool:
        if not CONFIG.fullmatch(raw):
            options.check_selector(raw)
        return True

    def constraint(raw: Any) -> str | None:
        variant, word = "", ""
        if isinstance(raw, str):
            try:
                parse_constraint(raw)
            except ConstraintError as error:
                variant, word = error.why, error.word
            else:
                return None
        return language().phrase("type", "constraint", "wanted", variant, word=word)

    kinds = ", ".join(says.get("written", word) for word, says in language().words["option"].items())
    return {
        "any": lambda _: None,
        "str": plain("str", lambda raw: isinstance(raw, str)),
        "bool": plain("bool", lambda raw: isinstance(raw, bool)),
        "int": plain("int", lambda raw: isinstance(raw, int) and not isinstance(raw, bool)),
        "name": plain("name", lambda raw: isinstance(raw, str)),
        "version": text("version", parse_version),
        "version-short": text("version-short", lambda raw: parse_version(raw, short=True)),
        "range": text("range", lambda raw: satisfies(parse_version("1.0.0"), raw) or True),
        "unit": text("unit", unit),
        "template": text("template", lambda raw: bool(selectors.METRIC.fullmatch(CONFIG.sub("x", raw, count=1)))),
        "metric-template": text("metric-template", named),
        "unit-template": text("unit-template", lambda raw: units.parse(CONFIG.sub("1", raw).replace("${unit}", "1"))),
        "duration": text("duration", parse_duration),
        "selector": text("selector", selector),
        "guard": plain("guard", lambda raw: isinstance(raw, dict)),
        "domain": plain("domain", domain),
        "constraint": constraint,
        "schema": text("schema", lambda raw: bool(CONFIG.fullmatch(raw))),
        "parts": plain("parts", texts),
        "values": plain("values", lambda raw: isinstance(raw, dict)),
        "capability": text("capability", lambda raw: raw in CAPABILITIES),
        "setting": text("setting", is_name),
        "numbers": text("numbers", intervals),
        "claim": text("claim", lambda raw: bool(_CLAIM.fullmatch(CONFIG.sub("x", raw)))),
        "entry": text("entry", lambda raw: bool(_ENTRY.fullmatch(raw))),
        "option-type": text("option-type", options.parse_type, options=kinds),
    }


class _Scalars(dict[str, Callable[[Any], str | None]]):
    """Filled on first use: the language is loaded then."""

    def __missing__(self, key: str) -> Callable[[Any], str | None]:
        self.update(_scalar_types())
        return self[key]


SCALARS: Final = _Scalars()
"""For each type what says what was wanted in the place of a value, and None where it fits."""
