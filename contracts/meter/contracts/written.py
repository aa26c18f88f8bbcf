"""The value of an option as a mount file would have it: what an explanation shows of a plan.

Light: a plan out of the lock is shown without the contract language. Secrets are references in a plan, so that nothing
is left out here.
"""

from __future__ import annotations

import re
from typing import Any, Final

_CONTAINER: Final = re.compile(r"(?:list|map)<(.*)>")
_QUANTITY: Final = re.compile(r"quantity\((.*)\)")


def written(value: Any, type_: str) -> str:
    """A canonical value of an option type, in TOML: durations, sizes and quantities with their units."""
    import json  # texts and lists look the same in TOML

    from meter.contracts.quantities import format_duration, format_size  # light

    inner = _CONTAINER.fullmatch(type_)
    if inner and isinstance(value, list):
        return "[" + ", ".join(written(each, inner[1]) for each in value) + "]"
    if inner and isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {written(v, inner[1])}" for k, v in value.items()) + " }"
    if type_ in ("duration", "size") and isinstance(value, int):
        return json.dumps((format_duration if type_ == "duration" else format_size)(value))
    if (quantity := _QUANTITY.fullmatch(type_)) and isinstance(value, int | float):
        return json.dumps(f"{repr(value).removesuffix('.0')} {quantity[1]}", ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
