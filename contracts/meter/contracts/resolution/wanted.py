"""Wanted metrics: whether what the request wants gets to an output, and who keeps it from there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from meter.contracts.diagnostics import Diagnostic, listed
from meter.contracts.flow import Flow
from meter.contracts.instances import Instance
from meter.contracts.live import Step
from meter.contracts.request import Request
from meter.contracts.resolution.candidates import giving
from meter.contracts.spans import Span


def wanted(request: Request, chain: Sequence[Instance], flowed: Flow) -> Iterator[Diagnostic]:
    """E-FLOW-EMPTY for each metric that is wanted and that no output gets."""
    got = {variant.metric for variants in flowed.gets.values() for variant in variants}
    missing = {name: request.want.index(name) for name in request.want if name not in got}
    if not missing:
        return
    roles = {instance.label: instance.contract.role for instance in chain}
    outputs = [instance for instance in chain if roles[instance.label] == "output"]
    way = [instance for instance in chain if roles[instance.label] in ("source", "filter")]
    lasts = _lasts(missing, [flowed.steps[instance.label] for instance in way])
    for name, place in missing.items():
        last = lasts.get(name, -1)
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


def _lasts(names: Collection[str], steps: Sequence[Step]) -> dict[str, int]:
    """For each metric the last step behind which there is some of it."""
    counts: Counter[str] = Counter()
    found = {}
    for place, step in enumerate(steps):
        for variant in step.come:
            counts[variant.metric] += 1
        for variant in step.gone:
            counts[variant.metric] -= 1
            if not counts[variant.metric]:
                found[variant.metric] = place - 1
    return {**found, **{name: len(steps) - 1 for name in names if counts[name]}}


def _selection(request: Request, output: Instance) -> Span:
    """Where the request says what an output gets."""
    option = next((compiled.option for compiled in output.rules if compiled.option), "")
    given = request.config.get(output.label, {}).get(option)
    return output.span if given is None else given.locate(())
