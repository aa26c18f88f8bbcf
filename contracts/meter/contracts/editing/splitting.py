"""Splitting: an instance of its own for a part of what another one selects, with the same options."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from meter.contracts.editing.edits import Change, Edit, applied, instead
from meter.contracts.editing.mending import edit_of
from meter.contracts.editing.settings import setting
from meter.contracts.editing.trying import Sound, more, otherwise, raws
from meter.contracts.editing.writing import toml
from meter.contracts.instances import Instance
from meter.contracts.request import Request


class Split(NamedTuple):
    """The new instance as `plugins` names it, its like, what to write for the two, and the edit that does all."""

    asked: str
    reader: str
    own: str
    rest: str
    edit: Edit | None


def split(
    request: Request, reader: Instance, option: str, places: Collection[int], labels: Collection[str], sound: Sound
) -> Split | None:
    """How some items of a selection get an instance of their own; None where nothing is left or a check refuses it.

    Args: `labels` are taken.
    """
    texts = reader.config.get(option)
    if not isinstance(texts, list):
        return None
    own = [text for place, text in enumerate(texts) if place in places]
    rest = [text for place, text in enumerate(texts) if place not in places]
    if not own or all(text.startswith("!") for text in rest):
        return None
    free = (f"{reader.label}-{nth}" for nth in count(2))
    label = next(each for each in free if each not in labels and each not in request.config)
    asked = f"{reader.contract.name}#{label}"
    options, left = {**raws(request, reader.label), option: own}, {option: rest}
    if not sound(more(otherwise(request, reader.label, left), asked, options)):
        return None
    edit = _edit(request, reader, (asked, label), option, options, rest)
    return Split(asked, reader.label, setting(request, label, options), setting(request, reader.label, left), edit)


def _edit(
    request: Request,
    reader: Instance,
    new: tuple[str, str],
    option: str,
    options: Mapping[str, Any],
    rest: Sequence[str],
) -> Edit | None:
    """The edit that puts the instance in behind its like, and takes from that what it has got."""
    places = [place for place, each in enumerate(request.plugins) if each.label == reader.label]
    value = request.config.get(reader.label, {}).get(option)
    if request.document is None or not places or value is None:
        return None
    asked, label = new
    writer = request.document.writer()
    place = min(places[0] + 1, len(request.plugins) - 1)
    changes: list[Change | None] = [
        writer.before((*request.path, "plugins", place), asked),
        writer.put((*request.path, "config", label), options),
        instead(value.locate(()), toml(rest)),
    ]
    edit = edit_of("split", changes, filter=asked, instance=reader.label)
    try:
        body = tomllib.loads(applied(request.document.text, edit.changes))["mounts"][request.mountpoint] if edit else {}
    except ValueError:
        return None
    tables = body.get("config", {})
    return edit if tables.get(label) == options and tables[reader.label][option] == rest else None
