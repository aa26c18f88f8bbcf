"""Claiming: what instances want that only one can have, and E-CLAIM where two of them want it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from meter.contracts.claims import PORTS, Taken, covers
from meter.contracts.configured import RECOVERED, place
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.settings import setting
from meter.contracts.host import FILL, WRITE
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.placeholders import CONFIG
from meter.contracts.request import Request
from meter.contracts.spans import Span


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


def claims(chain: Sequence[Instance], request: Request) -> Iterator[Diagnostic]:
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
    spans, notes = (second[2], first[2]), _covering(first[1], second[1])
    return Diagnostic(code="E-CLAIM", facts=facts, spans=spans, clause="claims", notes=notes, variant=variant)


def _covering(first: str, second: str) -> tuple[str, ...]:
    """Which address of two claims stands for several, where their ports meet for that."""
    found = covers(first, second)
    if found is None:
        return ()
    variant = {"": "none", "0.0.0.0": "four"}.get(found[0], "")  # noqa: S104  compared, not bound
    return (language().phrase("note", "covers", "text", variant, wide=found[0], narrow=found[1]),)


def kept_twice(chain: Sequence[Instance], request: Request) -> Iterator[Diagnostic]:
    """E-CLAIM: what an output cannot deliver is one queue, which only one can keep."""
    keepers: dict[str, tuple[str, str, Span]] = {}
    for instance in [each for each in chain if each.contract.role == "recover"]:
        for nth, label in enumerate(instance.config.get(RECOVERED, ())):
            mine = (instance.label, label, place(instance, request, RECOVERED, (nth,)))
            if label in keepers:
                yield clash(keepers[label], mine, "recover")
            keepers.setdefault(label, mine)
