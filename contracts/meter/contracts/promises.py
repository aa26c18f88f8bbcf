"""What instances promise and claim beside their metrics: durability, exclusive things, time, isolation.

Each function takes the whole chain or one instance of it and says what cannot be kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from meter.contracts.catalogue import Catalogue, is_automatic, is_listed
from meter.contracts.claims import PORTS, Taken
from meter.contracts.configured import RECOVERED, place
from meter.contracts.diagnostics import Diagnostic, listed
from meter.contracts.editing.settings import setting
from meter.contracts.host import FILL, WRITE
from meter.contracts.instances import CONFIG, Instance
from meter.contracts.language import language
from meter.contracts.quantities import format_duration, parse_duration
from meter.contracts.request import Request
from meter.contracts.spans import Span


def promises(chain: Sequence[Instance], request: Request, catalogue: Catalogue) -> list[Diagnostic]:
    """Everything that an ordered chain cannot keep."""
    found: list[Diagnostic] = []
    for instance in chain:
        found += _isolation(instance)
        found += _deadline(instance)
        found += _durability(instance, chain, request, catalogue)
    return [*found, *_claims(chain, request), *_kept_twice(chain, request)]


# ------------------------------------------------------------------------------------------------------------- claims


def claims_of(instance: Instance) -> list[tuple[str, str]]:
    """What an instance claims, each with the option that it comes from, sorted; a path that it writes is a claim."""
    found = []
    for text in instance.contract.claims:
        named = CONFIG.findall(text)
        claim = CONFIG.sub(lambda match: str(instance.config.get(match[1], "")), text)
        found.append((claim, named[0] if named else ""))
    for name, option in instance.contract.config.items():
        path = instance.config.get(name)
        if option.access in (WRITE, FILL) and isinstance(path, str):
            found.append((f"file:{path}", name))
    return sorted(found)


def _claims(chain: Sequence[Instance], request: Request) -> Iterator[Diagnostic]:
    """E-CLAIM: two instances, or two options of one, that want what only one can have."""
    taken = Taken()
    holders: list[tuple[str, str, Span]] = []
    for instance in sorted(chain, key=lambda each: each.label):
        for claim, option in claims_of(instance):
            given = request.config.get(instance.label, {}).get(option)
            span = instance.span if given is None else given.locate(())
            first = next(taken.meeting(claim), None)
            if first is not None:
                other = another(instance.config.get(option), claim)
                settings = setting(request, instance.label, {option: other}) if other is not None else ""
                yield clash(holders[first], (instance.label, claim, span), settings=settings)
            else:
                taken.add(claim)
                holders.append((instance.label, claim, span))


def another(value: Any, claim: str) -> Any:
    """The value of the option that a claim comes from, with the next port; None where no port is claimed by it."""
    kind, _, name = claim.partition(":")
    host, colon, port = name.rpartition(":")
    if kind not in PORTS or not port.isdigit() or not 0 < int(port) < 65535:
        return None
    if value == name:
        return f"{host}{colon}{int(port) + 1}"
    return int(port) + 1 if value == int(port) else None


def clash(
    first: tuple[str, str, Span], second: tuple[str, str, Span], variant: str = "", settings: str = ""
) -> Diagnostic:
    """E-CLAIM for two claims: instance, claim and place of each; `settings` is what to write for another port."""
    kind, _, name = second[1].partition(":")
    facts = {"first": first[0], "second": second[0], "other": first[1], "claim": second[1], "path": name}
    variant = variant or ("" if kind == "file" else "claim")
    facts["way"] = language().phrase(
        "text", "claim", "text", "port" if settings else variant, second=second[0], settings=settings
    )
    return Diagnostic(code="E-CLAIM", facts=facts, spans=(second[2], first[2]), clause="claims", variant=variant)


# --------------------------------------------------------------------------------------------------------- durability


def _durability(
    instance: Instance, chain: Sequence[Instance], request: Request, catalogue: Catalogue
) -> list[Diagnostic]:
    """E-DURABILITY: an output that promises less than is demanded, by itself and with what recovers it."""
    wanted = request.durability
    if wanted is None or instance.contract.role != "output":
        return []
    rank = language().rank
    promised = [_promised(each) for each in (instance, *recovering(instance, chain))]
    got = max(promised, key=lambda word: rank("durability", word))
    if rank("durability", got) >= rank("durability", wanted):
        return []
    facts = {"instance": instance.label, "got": got, "wanted": wanted, "mountpoint": request.mountpoint}
    facts["less"] = f"--durability {got}" if request.document is None else f'durability = "{got}"'
    there = {each.contract.name for each in chain if each is not instance}
    others = (
        contract.name
        for contract in catalogue.contracts()
        if contract.placement == instance.contract.placement and is_automatic(contract) and is_listed(contract)
        if rank("durability", contract.durability) >= rank("durability", wanted) and contract.name not in there
    )
    facts["others"] = listed(itertools.islice(others, 3))
    said = instance.contract.source.mentions("durability")[:1]  # the default is said nowhere
    spans = (instance.span, *(instance.contract.source.value("durability") for _ in said))
    alone = all(each is instance or each.contract.role != "output" for each in chain)
    variant = ("others" if facts["others"] else "alone") if alone else ""
    return [Diagnostic(code="E-DURABILITY", facts=facts, spans=spans, clause="durability", variant=variant)]


def _promised(instance: Instance) -> str:
    """The durability of an instance: what its option of that name says, else its contract."""
    said = instance.config.get("durability")
    return said if said in language().values("durability") else instance.contract.durability


def recovering(output: Instance, chain: Sequence[Instance]) -> list[Instance]:
    """The instances that get what an output could not deliver: those whose option `for` names it."""
    return [
        each for each in chain if each.contract.role == "recover" and output.label in each.config.get(RECOVERED, ())
    ]


def _kept_twice(chain: Sequence[Instance], request: Request) -> Iterator[Diagnostic]:
    """E-CLAIM: what an output cannot deliver is one queue, which only one can keep."""
    keepers: dict[str, tuple[str, str, Span]] = {}
    for instance in [each for each in chain if each.contract.role == "recover"]:
        for nth, label in enumerate(instance.config.get(RECOVERED, ())):
            mine = (instance.label, label, place(instance, request, RECOVERED, (nth,)))
            if label in keepers:
                yield clash(keepers[label], mine, "recover")
            keepers.setdefault(label, mine)


# ------------------------------------------------------------------------------------------------- time and isolation


def _deadline(instance: Instance) -> list[Diagnostic]:
    """E-CONSTRAINT: a source that can take longer for a poll than the time between two of them."""
    deadline = instance.contract.deadline
    if (
        deadline is None
        or instance.contract.role != "source"
        or parse_duration(deadline) <= instance.config["interval"]
    ):
        return []
    facts = {"instance": instance.label, "deadline": deadline}
    facts["interval"] = format_duration(instance.config["interval"])
    spans = (instance.span, instance.contract.source.value("deadline"))
    return [Diagnostic(code="E-CONSTRAINT", facts=facts, spans=spans, clause="deadline", variant="deadline")]


def _isolation(instance: Instance) -> list[Diagnostic]:
    """E-INTERFACE: an isolation that this meter has not."""
    words = language().words["isolation"]
    wanted = instance.contract.isolation
    if words[wanted].get("supported") != "no":
        return []
    had = next(says["description"] for says in words.values() if says.get("supported") != "no")
    facts = {"instance": instance.label, "wanted": wanted, "got": had}
    spans = (instance.span, instance.contract.source.value("isolation"))
    return [Diagnostic(code="E-INTERFACE", facts=facts, spans=spans, clause="isolation", variant="isolation")]
