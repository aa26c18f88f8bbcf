"""What a configuration names beyond itself: other instances of the backend, variables and files that hold secrets.

Apart from the options, which know one value and its type: only the resolved backend and the host can say whether what
is named is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from meter.contracts.diagnostics import Diagnostic, listed, nearest
from meter.contracts.host import ENVIRONMENT, READ, Host, reason, remedy
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.options import parse_type
from meter.contracts.references import references
from meter.contracts.request import At, Request
from meter.contracts.spans import Span

RECOVERED: Final = "for"
"""The option of what recovers that names the instances whose batches it keeps."""


def place(instance: Instance, request: Request, option: str, at: At) -> Span:
    """Where the value of an option stands in the request, else the instance."""
    given = request.config.get(instance.label, {}).get(option)
    return instance.span if given is None else given.locate(at)


def parts(value: Any) -> Iterator[tuple[At, Any]]:
    """The values of an option with their places in it: the items of a list or map, else the one value."""
    if isinstance(value, dict):
        yield from (((name,), each) for name, each in value.items())
    elif isinstance(value, list):
        yield from (((nth,), each) for nth, each in enumerate(value))
    else:
        yield (), value


def missing_instances(instances: Sequence[Instance], request: Request) -> Iterator[Diagnostic]:
    """E-CONFIG-RANGE for labels in options of type `instance` that no instance has, and of what is not recovered."""
    words = language().words["placement"]
    there = {instance.label: words[instance.contract.placement] for instance in instances}
    for instance in instances:
        recovers = there[instance.label].get("recovers", "")
        for name, option in sorted(instance.contract.config.items()):
            if name not in instance.config or parse_type(option.type)[1] != "instance":
                continue
            only = recovers if name == RECOVERED else ""
            labels = tuple(sorted(label for label, says in there.items() if not only or says["role"] == only))
            for at, label in parts(instance.config[name]):
                if label not in labels:
                    facts = {"option": name, "instance": instance.label, "got": label, "values": listed(labels)}
                    spans = (place(instance, request, name, at), instance.contract.source.key("config", name))
                    yield Diagnostic(
                        code="E-CONFIG-RANGE",
                        facts={**facts, "near": nearest(label, labels)},
                        spans=spans,
                        clause=f"config.{name}",
                    )


def missing_secrets(instance: Instance, request: Request, host: Host) -> Iterator[Diagnostic]:
    """E-HOST and E-PATH for variables that are not set and files that cannot be read, where a secret stands in them."""
    for name, option in sorted(instance.contract.config.items()):
        for at, reference in references(option.type, instance.config.get(name, [])):
            kind, argument = (READ, reference.file) if reference.file else (ENVIRONMENT, reference.variable)
            if not (answer := host.answer(kind, argument)):
                continue
            spans = (place(instance, request, name, at), instance.contract.source.key("config", name))
            facts = {"why": reason(answer), "help": remedy(answer, "path" if reference.file else "secret")}
            if reference.file:
                facts |= {"option": name, "instance": instance.label, "path": reference.file}
            else:
                facts |= {"plugin": instance.label}
            code = "E-PATH" if reference.file else "E-HOST"
            yield Diagnostic(code=code, facts=facts, spans=spans, clause=f"config.{name}")
