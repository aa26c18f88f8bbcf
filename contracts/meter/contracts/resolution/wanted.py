"""Wanted metrics: whether what the request wants gets to an output, and who keeps it from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from meter.contracts.diagnostics import Diagnostic, listed
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.request import Request
from meter.contracts.resolution.candidates import giving
from meter.contracts.spans import Span
from meter.contracts.variants import Variant


def wanted(
    request: Request, chain: Sequence[Instance], schema: Mapping[str, Sequence[Variant]]
) -> Iterator[Diagnostic]:
    """E-FLOW-EMPTY for each metric that is wanted and that no output gets.

    Args: schema, the variants behind each instance; for an output those that it gets.
    """
    words = language().words["placement"]
    roles = {instance.label: words[instance.contract.placement]["role"] for instance in chain}
    outputs = [instance for instance in chain if roles[instance.label] == "output"]
    for place, name in enumerate(request.want):
        if name in request.want[:place]:
            continue
        has = {label: any(variant.metric == name for variant in variants) for label, variants in schema.items()}
        if any(has[output.label] for output in outputs):
            continue
        way = [instance for instance in chain if roles[instance.label] in ("source", "filter")]
        last = max((at for at, instance in enumerate(way) if has[instance.label]), default=-1)
        facts = {"selector": name, "instance": "", "outputs": listed(each.label for each in outputs), "near": ""}
        if last < 0:
            givers = [each for each in way if any(giving(each.contract, name, literal=False))]
            variant, places = "want-none", [each.span for each in givers]
            facts["givers"] = listed(each.label for each in givers)
        elif last + 1 < len(way):
            variant, places = "want-dropped", [way[last + 1].span]
            facts["instance"] = way[last + 1].label
        else:
            variant, places = "want", [_selection(request, each) for each in outputs]
        spans = (request.place("want", place), *places)
        yield Diagnostic(code="E-FLOW-EMPTY", facts=facts, spans=spans, clause="want", variant=variant)


def _selection(request: Request, output: Instance) -> Span:
    """Where the request says what an output gets."""
    option = next((compiled.option for compiled in output.rules if compiled.option), "")
    given = request.config.get(output.label, {}).get(option)
    return output.span if given is None else given.locate(())
