"""Mending: edits of a mount file or a contract that say an order, put in what lacks, or take out what is too much."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable

from meter.contracts.editing.edits import Change, Edit, clear, instead, renamed
from meter.contracts.model import Contract
from meter.contracts.request import Request


def ordered(request: Request, first: str, then: str) -> Edit | None:
    """Say in `order` that one instance comes before another one."""
    if request.document is None:
        return None
    pair = [first, then]
    if request.order:
        change = request.document.writer().before((*request.path, "order", 0), pair)
    elif request.document.mentions(*request.path, "order"):
        change = instead(request.place("order"), f'[["{first}", "{then}"]]')
    else:
        change = request.document.writer().put((*request.path, "order"), [pair])
    return edit_of("order", [change], first=first, then=then)


def unordered(request: Request, chain: int, place: int, labels: Collection[str]) -> Edit | None:
    """Correct a label in `order` that nothing has, or take it out; with its chain where this has one other only."""
    if request.document is None:
        return None
    words = request.order[chain]
    word = words[place]
    written = tomllib.loads(request.document.text)["mounts"][request.mountpoint]["order"]
    if list(map(list, request.order)) != written:  # some of it was left out before
        return None
    if meant := clear(word, set(labels).difference(words)):
        return renamed(request.place("order", chain, place), word, meant)
    path: tuple[str | int, ...] = (*request.path, "order", chain, place)
    if len(words) <= 2:
        path = path[:-1] if len(request.order) > 1 else path[:-2]
    return edit_of("remove", [request.document.writer().without(path)], word=word)


def left_out(request: Request, word: str, place: int) -> Edit | None:
    """Take a word out of `plugins`."""
    if request.document is None:
        return None
    return edit_of("remove", [request.document.writer().without((*request.path, "plugins", place))], word=word)


def added(request: Request, word: str, label: str) -> Edit | None:
    """Put a word into `plugins`, before that of an instance, else before all."""
    if request.document is None or not request.plugins:
        return None
    place = next((nth for nth, each in enumerate(request.plugins) if each.label == label), 0)
    change = request.document.writer().before((*request.path, "plugins", place), word)
    return edit_of("add", [change], plugin=word)


def cut(contract: Contract, word: str, *path: str | int) -> Edit | None:
    """Take a word or a key with its value out of a contract."""
    return edit_of("remove", [contract.source.writer().without(path)], word=word)


def edit_of(kind: str, changes: Iterable[Change | None], **facts: str) -> Edit | None:
    """An edit of all these changes; none where one of them cannot be made."""
    made = tuple(changes)
    found = tuple(change for change in made if change is not None)
    return Edit(kind=kind, changes=found, facts=facts) if len(found) == len(made) else None
