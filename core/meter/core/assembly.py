"""Assembly: from the document of a plan to elements that have a plugin's object, its configuration and its rules."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from meter.contracts import references
from meter.contracts.placeholders import AT_START
from meter.core import own_check
from meter.core.breach import GIVES, ContractBreach
from meter.core.elements import FilterElement, OutputElement, RecoverElement, SourceElement
from meter.core.loading import load_class
from meter.core.plugin import Context
from meter.core.polling import STUCK_NS
from meter.core.readings import Declared

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping
    from os import PathLike

    from meter.contracts.rules import Rule
    from meter.core.faults import Faults
    from meter.core.vault import Vault


class Assembly:
    """Makes the elements of one plan.

    Args: as for the engine; `vault` resolves references of the configuration; what cannot be made is one of `faults`.
    """

    def __init__(
        self,
        plan: dict[str, Any],
        contracts: dict[str, str],
        folder: str | PathLike[str],
        sysroot: str | PathLike[str] | None,
        vault: Vault,
        faults: Faults,
    ) -> None:
        self.plan = plan
        self.contracts = contracts
        self.folder = folder
        self.sysroot = sysroot
        self._vault = vault
        self._faults = faults

    def sources(self) -> Iterator[SourceElement]:
        """The sources that can be started, the last one of the plan first; the others are faults."""
        from meter.contracts.variants import Variant

        for entry in self._entries({"source"}):
            plugin = self.construct(entry)
            if plugin is None:
                continue
            label = entry["instance"]
            variants = [Variant.from_json(variant) for variant in entry["emits"]]
            source = SourceElement(
                label,
                plugin,
                Declared(label, variants, entry["absent"], self.plan["qualities"]),
                int(entry["config"]["interval"]),
                self.sysroot,
                entry["received"],
                blocks=entry["deadline"] > STUCK_NS,
                tolerated=partial(self._faults.tolerated, label),
            )
            source.context.alternative = entry["alternative"]
            yield source

    def chain(
        self, anchor: tuple[int, int]
    ) -> Iterator[tuple[FilterElement | OutputElement | RecoverElement, Context, bool]]:
        """All others with the context of their start and whether they can be started, outputs first.

        Whoever gives finds somebody to take. A filter or output that could not be made is an element all the same: what
        passes it, or is lost with it, is known.
        """
        from meter.contracts.rules import WorstQuality

        quality = WorstQuality(self.plan["qualities"])
        for entry in self._entries({"filter", "output", "recover"}):
            if entry["role"] == "recover":
                yield from self._recovering(entry, anchor)
                continue
            label = entry["instance"]
            plugin, rules = self._ruled(entry)
            context = Context(label, self.sysroot, anchor)
            context.alternative = entry["alternative"]
            if entry["role"] == "filter":
                yield FilterElement(label, plugin, rules, quality), context, plugin is not None
            else:
                yield OutputElement(label, plugin, rules, quality, entry["config"]), context, plugin is not None

    def _entries(self, roles: set[str]) -> Iterator[dict[str, Any]]:
        return (entry for entry in reversed(self.plan["plugins"]) if entry["role"] in roles)

    def _ruled(self, entry: dict[str, Any]) -> tuple[Any, list[Rule]]:
        """The object of a plugin, or None where it could not be made, and its rules."""
        from meter.contracts.rules import Rule

        label = entry["instance"]
        rules = [Rule.from_json(rule) for rule in entry["rules"]]
        plugin = self.construct(entry)
        try:
            rules = [filled(rule, label, os.environ) for rule in rules]
        except ContractBreach as error:
            plugin = None
            self._faults.raised(label, "start", error)
        computes = any(rule.computes is not None for rule in rules)
        if plugin is not None and computes and not getattr(plugin, "computes", False):
            # Nothing of its own would come, and nobody would miss it: said instead of run without it.
            plugin = None
            self._faults.fail("E-PLUGIN-RAISED", label, variant="formula", phase="start", why="")
        return plugin, rules

    def _recovering(
        self, entry: dict[str, Any], anchor: tuple[int, int]
    ) -> Iterator[tuple[RecoverElement, Context, bool]]:
        """One object for each output, so that its author need not tell them apart, and none waits for another."""
        for output in entry["config"]["for"]:
            plugin = self.construct(entry)
            context = Context(entry["instance"], self.sysroot, anchor)
            context.alternative = entry["alternative"]
            context.output = output
            yield RecoverElement(entry["instance"], plugin, output), context, plugin is not None

    def construct(self, entry: dict[str, Any]) -> Any:
        """The plugin's object, or None where it could not be made; why is a fault."""
        label = entry["instance"]
        config = dict(entry["config"])
        for name in entry["paths"]:
            config[name] = self._absolute(config[name])
        phase = own_check.EXPORT
        try:
            if own_check.EXPORT in entry["exports"] and not self._completed(entry):
                return None
            phase = "load"
            for name, value in config.items():
                config[name] = references.filled(entry["types"][name], value, self._vault.look)
            made = load_class(
                entry["plugin"], self.contracts[entry["plugin"]], entry["exports"]["plugin"], entry["role"]
            )
            phase = "__init__"
            return made(config)
        except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
            self._faults.raised(label, phase, error)
            return None

    def _completed(self, entry: dict[str, Any]) -> bool:
        """Whether a plugin's own code leaves its configuration as it is; says what it would change, or why it refuses.

        Raises: what its code raises, ExportMissing, ExportMismatch.
        """
        label = entry["instance"]
        facts = {
            "plugin": entry["plugin"],
            "option": "",
            "got": "",
            "wanted": "",
            "mountpoint": self.plan["mountpoint"],
        }
        try:
            wanted = own_check.ask(entry, self.contracts[entry["plugin"]])
        except own_check.ConfigRefused as error:
            self._faults.fail("E-CONFIG-REFUSED", label, "exports", **facts, why=error.why)
        except own_check.ConfigMismatch as error:
            self._faults.fail("E-EXPORT-MISMATCH", label, "exports", error.variant, **{**facts, **error.facts})
        else:
            if not wanted:
                return True
            from meter.contracts.editing.written import written  # only a fault shows a value

            name = min(wanted)
            value = written(wanted[name], entry["types"][name])
            told = {**facts, "option": name, "value": value}
            self._faults.fail("E-CONFIG-REFUSED", label, "exports", "changed", **told)
        return False

    def _absolute(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._absolute(each) for each in value]
        if isinstance(value, dict):
            return {name: self._absolute(each) for name, each in value.items()}
        return os.path.join(self.folder, value)


def filled(rule: Rule, label: str, environ: Mapping[str, str]) -> Rule:
    """A rule with the values of the attributes that it adds: the host's name and the environment are put in.

    Raises: ContractBreach, a variable of the environment is not set.
    """
    if rule.gives is None or not any("${" in text for _, text in rule.gives.attributes):
        return rule

    def value(attribute: str, text: str) -> str:
        def known(found: re.Match[str]) -> str:
            if found[1] is None:
                return os.uname().nodename
            if found[1] not in environ:
                facts = {"attribute": attribute, "name": found[1]}
                raise ContractBreach(label, f"{GIVES}.attributes", "no-variable", **facts)
            return environ[found[1]]

        return AT_START.sub(known, text)

    attributes = tuple((name, value(name, text)) for name, text in rule.gives.attributes)
    return rule._replace(gives=rule.gives._replace(attributes=attributes))
