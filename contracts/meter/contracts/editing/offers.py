"""Offers: plugins to put in, the one for which the least is to be done first, each with the options that it needs.

For the help of a diagnostic. An example of a value says what form it has; whoever sets the option knows the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meter.contracts.catalogue import is_automatic
from meter.contracts.editing.edits import dotted
from meter.contracts.editing.writing import toml
from meter.contracts.host import Host
from meter.contracts.host_needs import carries
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Contract, Option
from meter.contracts.options import example, example_word
from meter.contracts.request import Request


def needed(contract: Contract) -> dict[str, Option]:
    """The options of a plugin that have no default, by name."""
    return {name: option for name, option in sorted(contract.config.items()) if option.default is ABSENT}


def by_effort(contracts: Iterable[Contract], host: Host) -> list[Contract]:
    """Plugins, sorted by how much is to be done before they work on a host: nothing, options, something of the host.

    Of equal ones those come last that are only taken by name.
    """
    return sorted(contracts, key=lambda c: (not carries(host, c), len(needed(c)), not is_automatic(c), c.name))


def with_options(contract: Contract, request: Request) -> str:
    """A plugin, and the options that it has to be given, as far as the request does not hold them."""
    say = language().phrase
    given = request.config.get(contract.name, {})
    options = []
    for name, option in needed(contract).items():
        if name in given:
            continue
        if request.document is None:
            facts = {"option": name, "value": example_word(option, name, contract.name)}
        else:
            path = dotted(("config", contract.name, name))
            facts = {"option": path, "value": toml(example(option, contract.name))}
        options.append(say("text", "plugin-with", "option", **facts))
    if not options:
        return f"`{contract.name}`"
    return say("text", "plugin-with", plugin=contract.name, options=" and ".join(options))


def offered(contracts: Sequence[Contract], request: Request, host: Host) -> tuple[str, str]:
    """Plugins of which one would do, in words: those that work on a host, and those that lack something there."""
    sorted_ = by_effort(contracts, host)
    able = [with_options(each, request) for each in sorted_ if carries(host, each)]
    return _either(able), _either([with_options(each, request) for each in sorted_ if not carries(host, each)])


def _either(words: Sequence[str]) -> str:
    *others, last = [*words] or [""]
    return f"{', '.join(others)} or {last}" if others else last
