"""Apart: which options tell apart two instances that give the same, and what an output leaves out of two names.

For the help of E-FLOW-CLASH. What is offered is tried: the instances are configured so, and what they give is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from meter.contracts.catalogue import Catalogue
from meter.contracts.editing.settings import setting
from meter.contracts.editing.ways import droppers
from meter.contracts.instances import Instance, configure
from meter.contracts.language import language
from meter.contracts.placeholders import CONFIG
from meter.contracts.request import Given, Request
from meter.contracts.variants import Variant


def apart(variant: str, **facts: str) -> str:
    """A sentence of the help."""
    return language().phrase("text", "apart", "text", variant, **facts)


def configured(instance: Instance, given: Mapping[str, Given], options: Mapping[str, Any]) -> Instance | None:
    """An instance like another one with these options beside what is given; None where it cannot be."""
    span = instance.span
    new = Instance(label=instance.label, contract=instance.contract, span=span, because="")
    more = {name: Given(raw=raw, keys=(span,), locate=lambda _: span) for name, raw in options.items()}
    return None if configure(new, {**given, **more}) else new


def told_apart(request: Request, first: Instance, second: Instance, metrics: Sequence[str]) -> str:
    """How two instances give different series of some metrics.

    The values of an attribute are divided between two sources, of which each keeps what the request gives it alone; a
    filter gives its result another name.
    """
    for name in _lists(first):
        ones, others = first.config.get(name), second.config.get(name)
        if not isinstance(ones, list) or not isinstance(others, list) or name not in _lists(second):
            continue
        options = _divided(request, (first, ones), (second, others), name)
        if options is None:
            return apart("series-values", option=name)
        pairs = list(zip((first, second), options, strict=True))
        new = [configured(each, request.config.get(each.label, {}), option) for each, option in pairs]
        if all(new) and not _meet(*[_of(each, metrics) for each in new if each is not None]):
            settings = " and ".join(setting(request, each.label, option) for each, option in pairs if option)
            return apart("series-option", settings=settings)
    for name in _names(second):
        value = f"{second.config.get(name)}.{second.label}"
        renamed = configured(second, request.config.get(second.label, {}), {name: value})
        if renamed is not None and renamed.rules:
            return apart("series-option", settings=setting(request, second.label, {name: value}))
    return apart("series")


def _divided(
    request: Request, first: tuple[Instance, list[Any]], second: tuple[Instance, list[Any]], name: str
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """An option for each of two instances so that they have no value in common and together all that they had.

    What is written stays where it can: then the other one has the rest, and no option where that is its own. None where
    there is no rest.
    """
    (one, ones), (two, others) = first, second
    written = [name in request.config.get(each.label, {}) for each in (one, two)]
    if not any(written):
        values = list(dict.fromkeys([*ones, *others]))
        half = (len(values) + 1) // 2
        return ({name: values[:half]}, {name: values[half:]}) if len(values) > 1 else None
    rest = [value for value in others if value not in ones]
    if rest and written != [False, True]:
        return {}, {name: rest}
    rest = [value for value in ones if value not in others]
    return ({name: rest}, {}) if rest and written != [True, False] else None


def another(request: Request, first: Instance) -> tuple[str, str, str]:
    """How there is one more instance of a plugin beside the first one, of which nothing that is written is changed.

    The variant of the help, the label, and what to write for it where that is known: `settings`; `same`, where a source
    gives the same series whatever its options are.
    """
    taken = {each.label for each in (*request.plugins, *request.optional)} | set(request.config)
    label = next(each for nth in count(1) if (each := "other" if nth == 1 else f"other-{nth}") not in taken)
    one = configured(first, request.config.get(first.label, {}), {})
    two = configured(Instance(label=label, contract=first.contract, span=first.span, because=""), {}, {})
    if one is None or two is None:
        return "", label, ""
    names = list(_lists(one))
    for name in names:
        ones, others = one.config.get(name), two.config.get(name)
        if isinstance(ones, list) and isinstance(others, list) and (rest := [v for v in others if v not in ones]):
            return "settings", label, setting(request, label, {name: rest})
    return "" if names or not _meet(one.emits, two.emits) else "same", label, ""


def alike(request: Request, first: Instance, second: Instance, metrics: Sequence[str]) -> str:
    """How two instances of one plugin give metrics in one shape."""
    if first.contract.name != second.contract.name:
        return apart("alike")
    ways = [_as(request, second, first, metrics), _as(request, first, second, metrics)]
    settings, *others = [way for way in ways if way] or [""]
    if not settings:
        return apart("alike")
    return apart("alike-either" if others else "alike-option", settings=settings, reverse="".join(others))


def _as(request: Request, instance: Instance, other: Instance, metrics: Sequence[str]) -> str:
    """What to write so that an instance gives metrics in the shape that another one does; empty where nothing does."""
    clauses = [clause for clause in instance.contract.provides.metrics if clause.name in metrics]
    guards = sorted({name for clause in clauses for name in clause.when} & set(other.config))
    options = {name: other.config[name] for name in guards if other.config[name] != instance.config.get(name)}
    new = configured(instance, request.config.get(instance.label, {}), options) if options else None
    shapes = {(each.type, each.unit, each.kind) for each in (*other.emits, *(new.emits if new else ()))}
    return "" if new is None or len(shapes) != 1 else setting(request, instance.label, options)


def renaming(request: Request, maker: Instance | None, metric: str) -> str:
    """What to write so that a source's metric has another name; empty where no option gives it its name."""
    for clause in maker.contract.provides.metrics if maker is not None else ():
        option = CONFIG.fullmatch(clause.name)
        value = maker.config.get(option[1]) if maker is not None and option is not None else None
        if maker is None or option is None:
            continue
        if isinstance(value, list) and metric in value:
            new: Any = [f"{name}.other" if name == metric else name for name in value]
        elif value == metric:
            new = f"{metric}.other"
        else:
            continue
        if configured(maker, request.config.get(maker.label, {}), {option[1]: new}) is not None:
            return setting(request, maker.label, {option[1]: new})
    return ""


def dropping(
    request: Request, catalogue: Catalogue, instances: Iterable[Instance], metrics: Sequence[str]
) -> tuple[str, str]:
    """The filter to put in that drops metrics, and what to write for it; of one that is there the second alone."""
    there = {each.contract.name: each for each in instances}
    known = list(droppers(catalogue))
    for contract, option in known:
        if contract.name in there:
            label = there[contract.name].label
            old = there[contract.name].config.get(option, [])
            return "", setting(request, label, {option: [*old, *metrics]})
    for contract, option in known:
        if contract.name not in request.config:
            return contract.name, setting(request, contract.name, {option: list(metrics)})
    return "", ""


def left_out(texts: Sequence[str], metric: str) -> list[str]:
    """A selection without a metric."""
    return [text for text in texts if text != metric] if metric in texts else [*texts, f"!{metric}"]


def taken_too(texts: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """A selection that takes some metrics, too, unless a pattern of it leaves them out."""
    excluded = {f"!{metric}" for metric in metrics}
    kept = [text for text in texts if text not in excluded]
    if all(text.startswith("!") for text in kept):
        return kept or ["*"]
    return [*kept, *metrics]


def _lists(instance: Instance) -> Iterator[str]:
    """The options of a source that hold the values of an attribute."""
    for clause in instance.contract.provides.metrics:
        for domain in clause.attributes.values():
            option = CONFIG.fullmatch(domain) if isinstance(domain, str) else None
            if option is not None:
                yield option[1]


def _names(instance: Instance) -> Iterator[str]:
    """The options of a filter that are a part of the name of what it gives, the last one first."""
    for clause in instance.contract.needs.metrics:
        for name in reversed(CONFIG.findall(clause.gives.name) if clause.gives is not None else ()):
            if isinstance(instance.config.get(name), str):
                yield name


def _of(instance: Instance, metrics: Sequence[str]) -> list[Variant]:
    return [variant for variant in instance.emits if variant.metric in metrics]


def _meet(ones: Sequence[Variant], others: Sequence[Variant]) -> bool:
    return any(one.meets(other) for one in ones for other in others)
