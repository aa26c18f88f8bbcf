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

    value = plain(value, type_)
    if isinstance(value, list):
        return "[" + ", ".join(written(each, "") for each in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {written(v, '')}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def plain(value: Any, type_: str) -> Any:
    """A canonical value of an option type as a value of TOML; what is none, as it is."""
    from meter.contracts.quantities import QuantityError, format_duration, format_size  # light

    inner = _CONTAINER.fullmatch(type_)
    if isinstance(value, list | tuple):
        return [plain(each, inner[1] if inner else "") for each in value]
    if isinstance(value, dict):
        return {name: plain(each, inner[1] if inner else "") for name, each in value.items()}
    if isinstance(value, bool):
        return value
    if type_ in ("duration", "size") and isinstance(value, int):
        try:
            return (format_duration if type_ == "duration" else format_size)(value)
        except QuantityError:  # beyond what there is of them
            return value
    if (quantity := _QUANTITY.fullmatch(type_)) and isinstance(value, int | float):
        return f"{repr(value).removesuffix('.0')} {quantity[1]}"
    return value
