"""Substitutes: another output in the place of one that cannot take what it gets."""

from __future__ import annotations

from collections.abc import Callable

from meter.contracts.catalogue import Catalogue, is_automatic, is_listed
from meter.contracts.editing.apart import configured
from meter.contracts.editing.settings import setting
from meter.contracts.editing.trying import Sound, less, more
from meter.contracts.instances import Instance
from meter.contracts.language import ABSENT, language
from meter.contracts.options import example
from meter.contracts.request import Request


def substitute(
    request: Request, catalogue: Catalogue, output: Instance, takes: Callable[[Instance], bool], sound: Sound
) -> str:
    """How an output gives way to one of the catalogue that takes more; empty where a check refuses all.

    The one that promises most of what it was given comes first, then the first by name.
    """
    taken = {each.label for each in (*request.plugins, *request.optional)} | set(request.config)
    rank = language().rank
    for contract in sorted(catalogue.contracts(), key=lambda each: (-rank("durability", each.durability), each.name)):
        alike = contract.role == output.contract.role and is_automatic(contract) and is_listed(contract)
        if not alike or contract.name in taken:
            continue
        needed = {name: option for name, option in sorted(contract.config.items()) if option.default is ABSENT}
        options = {name: example(option, contract.name) for name, option in needed.items()}
        blank = Instance(label=contract.name, contract=contract, span=output.span, because="")
        new = configured(blank, {}, options)
        if new is None or not takes(new) or not sound(more(less(request, {output.label}), contract.name, options)):
            continue
        facts = {"output": contract.name, "instance": output.label}
        if not options:
            return language().phrase("text", "substitute", "text", "plain", **facts)
        return language().phrase("text", "substitute", **facts, settings=setting(request, contract.name, options))
    return ""
