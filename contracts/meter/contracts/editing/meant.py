"""Meant: the text that a clause must have been meant to have where it has one of no sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from meter.contracts import options, selectors
from meter.contracts.capabilities import CAPABILITIES
from meter.contracts.editing import spellings
from meter.contracts.editing.edits import clear
from meter.contracts.language import language


def meant_by(type_: str, text: str) -> str:
    """The text of a clause's type that another one must have been meant to be; empty where that is not certain."""
    return _BY_TYPE[type_](text) if type_ in _BY_TYPE else ""


def _option_type(text: str) -> str:
    words = [word for word, says in language().words["option"].items() if "takes" not in says]
    containers = [f"{container}<{word}>" for container in ("list", "map") for word in words]
    return clear(text, (*words, *containers))


def _selector(text: str) -> str:
    try:
        options.check_selector(text)
    except selectors.SelectorError as error:
        return options.meant_selector(error)
    return ""


_BY_TYPE: Final[Mapping[str, Callable[[str], str]]] = {
    "unit": spellings.unit,
    "duration": spellings.duration,
    "selector": _selector,
    "option-type": _option_type,
    "capability": lambda text: clear(text, CAPABILITIES),
}
