"""Aliases: the words of a contract that stand for a group of plugins, as `meter mount` would take them."""

from __future__ import annotations

from meter.contracts.command_line import Told, read_words
from meter.contracts.editing.edits import within
from meter.contracts.model import Contract
from meter.contracts.request import Asked
from meter.contracts.spans import Span


def members(contract: Contract) -> tuple[Asked, ...]:
    """The instances that the alias of a contract asks for; most have none."""
    return told(contract).plugins if contract.alias else ()


def told(contract: Contract) -> Told:
    """What the words of an alias ask for; places are in the contract."""

    def place(index: int, start: int = 0, stop: int | None = None) -> Span:
        word, span = contract.alias[index], contract.source.value("alias", index)
        return span if stop is None else within(span, word, start, stop)

    return read_words(contract.alias, place)
