"""Asking: what the words of a request become, before anything that they need.

Concrete names come before capabilities, which are sorted by name: which plugin is taken for a capability must not
depend on the order of the words.
"""

from __future__ import annotations

from collections.abc import Collection

from meter.contracts.diagnostics import Diagnostic, nearest
from meter.contracts.editing.apart import another
from meter.contracts.editing.edits import clear, renamed, within
from meter.contracts.editing.mending import left_out
from meter.contracts.instances import Instance
from meter.contracts.request import Asked
from meter.contracts.resolution.candidates import Need
from meter.contracts.resolution.closure import Closure


def ask(closure: Closure, without: Collection[str]) -> None:
    """Put in what the request asks for.

    Args: `without` are labels of what is optional and left out.
    """
    request = closure.request
    words = list(enumerate((*request.plugins, *(asked for asked in request.optional if asked.label not in without))))
    capabilities = [word for word in words if word[1].name not in closure.catalogue.entries]
    for position, asked in words:
        if asked.name in closure.catalogue.entries:
            _ask(closure, asked, position)
    for position, asked in sorted(capabilities, key=lambda word: (word[1].name, word[1].label, word[0])):
        _ask(closure, asked, position)


def _ask(closure: Closure, asked: Asked, position: int) -> None:
    """One word of the request."""
    entries = closure.catalogue.entries.get(asked.name, ())
    if len(entries) > 1:
        paths = " and ".join(f"`{entry.path}`" for entry in entries)
        facts = {"name": asked.name, "paths": paths}
        closure.say(Diagnostic(code="E-DUPLICATE", facts=facts, spans=(asked.span,), variant="files"))
        return
    if entries and entries[0].contract is None:
        closure.broken_off.add(asked.name)
        for place, each in enumerate(entries[0].diagnostics):
            if each.level == "error":
                closure.say(each, "contract", entries[0].path, str(place))
        return
    contract = entries[0].contract if entries else closure.choose(Need(asked.name), lambda: asked.span)
    if contract is None:
        if not closure.crowded:
            closure.say(_unknown(closure, asked))
        return
    instance = Instance(label=asked.label, contract=contract, span=asked.span, because="asked", position=position)
    taken = closure.roster.get(asked.label)
    if taken is None:
        closure.add(instance)
        return
    first, second = sorted((taken, instance), key=lambda each: each.position)
    if closure.crowded:
        return
    if taken.contract is contract:
        variant, label, settings = another(closure.request, first)
        facts = {"name": asked.text, "plugin": asked.name, "label": label, "settings": settings}
        edit = left_out(closure.request, asked.text, second.position)
        spans = (second.span, first.span)
        closure.say(Diagnostic(code="E-DUPLICATE", facts=facts, spans=spans, variant=variant, edit=edit))
    else:
        closure.clash(first, second.contract, asked.label, second.span)


def _unknown(closure: Closure, asked: Asked) -> Diagnostic:
    """E-PLUGIN-UNKNOWN; a name that is asked for already is not what was meant."""
    names = closure.catalogue.names()
    facts = {"name": asked.name, "near": nearest(asked.name, names)}
    request = closure.request
    labels = {each.label for each in (*request.plugins, *request.optional)} if asked.label == asked.name else ()
    meant = clear(asked.name, set(names).difference(labels))
    edit = None
    if meant:
        closure.broken_off.add(meant)
        edit = renamed(asked.span, asked.text, meant + asked.text[len(asked.name) :], (asked.name, meant))
    span = within(asked.span, asked.text, 0, len(asked.name))
    return Diagnostic(code="E-PLUGIN-UNKNOWN", facts=facts, spans=(span,), edit=edit)
