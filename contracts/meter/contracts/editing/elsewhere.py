"""Elsewhere: a mount of its own for an instance that cannot be where others are, with all that is to be written."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Collection, Iterator, Sequence
from itertools import count
from typing import Any

from attrs import evolve

from meter.contracts.claiming import another, claims_of
from meter.contracts.editing.edits import dotted
from meter.contracts.editing.settings import entry, words_of
from meter.contracts.editing.trying import LONG, Sound, less, otherwise, raws
from meter.contracts.editing.writing import toml
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.request import Request


def elsewhere(
    request: Request, chain: Sequence[Instance], label: str, rivals: Collection[str], sound: Sound, **demands: Any
) -> str:
    """How an instance gets a mount of its own, which has all but its rivals; empty where a check refuses one of both.

    What only one of the two mounts can have, a file or a port, is another one there. Args: `demands` are other words
    that the new mount has.
    """
    word = next((each.text for each in (*request.plugins, *request.optional) if each.label == label), "")
    if not word or request.unread:
        return ""
    name = next(each for nth in count(2) if not _is_mounted(request, each := f"{request.mountpoint}-{nth}"))
    old, new = less(request, {label}), evolve(less(request, rivals), mountpoint=name, **demands)
    ranks = {each.label: (language().rank("placement", each.contract.placement), each.label) for each in chain}
    if any(asked.label not in ranks for asked in new.plugins):  # something is wrong with its options
        return ""
    plugins = sorted(new.plugins, key=lambda asked: ranks[asked.label])  # whatever the order of the words here
    new = evolve(new, plugins=tuple(plugins), config=dict(sorted(new.config.items())))
    for instance in chain:
        if instance.label == label or instance.label in rivals:
            continue
        for claim, option in claims_of(instance):
            other = _other(instance, claim, option)
            if other is None:
                return ""
            new = otherwise(new, instance.label, {option: other})
    told = _told(new, _with_options(request, word, label), request.mountpoint)
    return told if len(told) <= LONG and sound(old) and sound(new) else ""


def _is_mounted(request: Request, name: str) -> bool:
    return request.document is not None and request.document.has("mounts", name)


def _other(instance: Instance, claim: str, option: str) -> Any:
    """Another value for an option that claims something; None where a claim has none."""
    value = instance.config.get(option)
    if claim.startswith("file:") and isinstance(value, str):
        stem, suffix = posixpath.splitext(value)
        return f"{stem}-2{suffix}"
    return another(value, claim)


def _with_options(request: Request, word: str, label: str) -> str:
    """An instance with its options, as they stand in a request."""
    if request.document is None:
        return f"`{shlex.join([word, *words_of(raws(request, label))])}`"
    return entry(request, label)


def _told(new: Request, word: str, mountpoint: str) -> str:
    """What to do for it, as a request is written."""
    say = language().phrase
    if new.document is not None:
        *lines, last = [f"`{line}`" for line in _lines(new)]
        told = f"{', '.join(lines)} and {last}" if lines else last
        place = f"[{dotted(new.path)}]"
        return say("text", "elsewhere", word=word, mountpoint=mountpoint, lines=told, place=place)
    if new.order or new.want or new.prefer or new.optional or new.durability or not new.recommends:
        return ""
    words = ["meter", "mount", new.mountpoint]
    for asked in new.plugins:
        words += [asked.text, *words_of(raws(new, asked.label))]
    return say("text", "elsewhere", "text", "command", word=word, command=shlex.join(words))


def _lines(new: Request) -> Iterator[str]:
    """The statements of a mount."""
    yield f"plugins = {toml([asked.text for asked in new.plugins])}"
    if new.optional:
        yield f"optional = {toml([asked.text for asked in new.optional])}"
    words = {"want": new.want, "prefer": new.prefer, "durability": new.durability, "order": new.order}
    yield from (f"{name} = {toml(value)}" for name, value in words.items() if value)
    if not new.recommends:
        yield "recommends = false"
    for label in new.config:
        options = raws(new, label)
        if len(options) == 1:
            [(name, value)] = options.items()
            yield f"{dotted(('config', label, name))} = {toml(value)}"
        elif options:
            yield f"{dotted(('config', label))} = {toml(options)}"
