"""Substitutes: another output in the place of one that cannot take what it gets, another source of the same metrics."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from meter.contracts.catalogue import Catalogue, is_automatic, is_listed
from meter.contracts.diagnostics import listed
from meter.contracts.editing.apart import configured
from meter.contracts.editing.offers import by_effort, needed, with_options
from meter.contracts.editing.settings import entry, setting
from meter.contracts.editing.trying import Sound, less, more
from meter.contracts.host import Host
from meter.contracts.host_needs import carries
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.options import example
from meter.contracts.request import Request
from meter.contracts.variants import Variant


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
        options = {name: example(option, contract.name) for name, option in needed(contract).items()}
        blank = Instance(label=contract.name, contract=contract, span=output.span, because="")
        new = configured(blank, {}, options)
        if new is None or not takes(new) or not sound(more(less(request, {output.label}), contract.name, options)):
            continue
        facts = {"output": contract.name, "entry": entry(request, output.label)}
        if not options:
            return language().phrase("text", "substitute", "text", "plain", **facts)
        return language().phrase("text", "substitute", **facts, settings=setting(request, contract.name, options))
    return ""


def other_source(
    request: Request,
    catalogue: Catalogue,
    host: Host,
    source: Instance,
    emits: Sequence[Variant],
    unable: Collection[str],
    sound: Sound,
) -> str:
    """How a source that a host does not carry gives way to one that gives the same of it; empty where a check refuses.

    The same is a metric of a resource and a consumer as the source has them. What measures comes before what estimates,
    then the one for which the least is to be done. Args: `emits`, what the source would give; `unable`, the labels of
    all that this host does not carry.
    """
    taken = {each.name for each in (*request.plugins, *request.optional)} | set(request.config)
    found = []
    names = sorted({each.metric for each in emits})
    for contract in by_effort({c.name: c for name in names for c in catalogue.mentioning(name)}.values(), host):
        able = contract.role == "source" and is_listed(contract) and carries(host, contract)
        if not able or contract.name in taken:
            continue
        options = {name: example(option, contract.name) for name, option in needed(contract).items()}
        new = configured(Instance(label=contract.name, contract=contract, span=source.span, because=""), {}, options)
        same = [each for each in (new.emits if new is not None else ()) if any(_is_same(each, old) for old in emits)]
        if same:
            found.append((language().worst_quality(*(each.quality for each in same)), contract, options, same))
    for quality, contract, options, same in sorted(found, key=lambda each: language().rank("quality", each[0])):
        if sound(more(less(request, {source.label, *unable}), contract.name, options)):
            facts = {"source": with_options(contract, request), "entry": entry(request, source.label)}
            metrics = listed(sorted({each.metric for each in same}))
            return language().phrase("text", "other-source", "text", quality, **facts, metrics=metrics)
    return ""


def _is_same(one: Variant, other: Variant) -> bool:
    """Whether two variants are of one metric, and of a resource and a consumer that both have."""
    alike = (one.metric, one.type, one.unit, one.kind) == (other.metric, other.type, other.unit, other.kind)
    return alike and bool(one.resource & other.resource) and bool(one.consumer & other.consumer)
