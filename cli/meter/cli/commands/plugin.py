"""`meter plugin`: what plugins there are, and what each states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from meter.cli import common, render
from meter.cli.help import Group

if TYPE_CHECKING:
    from meter.contracts.model import Contract, Option


class _Plugins(Group):
    """The commands; whoever names a plugin in the place of one is told which shows it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does. Raises: UsageError, there is no such command."""
        name = args[0]
        if name not in self.commands and not ctx.resilient_parsing and common.is_plugin(name):
            raise click.UsageError(f"No such command {name!r}. `meter plugin info {name}` shows that plugin.", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Plugins)
def plugin() -> None:
    """List and inspect plugins; no plugin is imported."""


@plugin.command("list", short_help="List plugins, or those that provide a capability.")
@click.argument("capability", required=False)
@common.format_option
@common.plugin_dir_option
def list_(capability: str | None, format_: str, plugin_dirs: tuple[str, ...]) -> int:
    """List plugins; with CAPABILITY those that provide it, the best first."""
    from meter.contracts.catalogue import is_listed, score  # the contract language, which a help text does not need
    from meter.contracts.diagnostics import Diagnostic, nearest
    from meter.contracts.language import language
    from meter.contracts.spans import Words
    from meter.core.discovery import discover

    catalogue, problems = discover(plugin_dirs)
    contracts = [contract for contract in catalogue.contracts() if is_listed(contract)]
    if capability is not None:
        contracts = [c for c in contracts if capability == c.name or capability in c.provides.capabilities]
        contracts.sort(key=lambda contract: -score(contract))
    else:
        contracts.sort(key=lambda contract: language().rank("placement", contract.placement))
    broken = [entry for entries in catalogue.entries.values() for entry in entries if entry.contract is None]
    if format_ == "json":
        rows = [
            {"name": c.name, "version": c.version, "placement": c.placement, "summary": c.summary, "score": score(c)}
            for c in contracts
        ]
        common.dump_json({"format": "meter-plugins/1", "plugins": rows, "broken": [entry.path for entry in broken]})
    elif contracts:
        table = [[c.name, c.placement, c.version, c.summary] for c in contracts]
        headers = ["plugin", "placement", "version", "summary"]
        click.echo(render.listing(table, headers, width=common.width(), prose=True))
    shown = [d.to_json() for d in problems]
    if capability is not None and not contracts:
        words = ["meter", "plugin", "list", capability]
        names = {name for c in catalogue.contracts() if is_listed(c) for name in (c.name, *c.provides.capabilities)}
        facts = {"name": capability, "near": nearest(capability, names)}
        unknown = Diagnostic(code="E-PLUGIN-UNKNOWN", facts=facts, spans=(Words(words).span(3),))
        common.show([unknown.to_json()], words)
        return common.exit_code([unknown.to_json()])
    shown += [d.to_json() for entry in broken for d in entry.diagnostics if d.level == "error"]
    common.show(shown)
    return common.exit_code(shown)


@plugin.command()
@click.argument("name")
@common.format_option
@common.plugin_dir_option
def info(name: str, format_: str, plugin_dirs: tuple[str, ...]) -> int:
    """Show what a plugin gives, takes and needs."""
    from meter.contracts.diagnostics import Diagnostic, nearest  # as in list_
    from meter.contracts.spans import Words
    from meter.core.discovery import discover

    catalogue, _ = discover(plugin_dirs)
    entries = catalogue.entries.get(name, ())
    if not entries:
        words = ["meter", "plugin", "info", name]
        facts = {"name": name, "near": nearest(name, catalogue.names())}
        return common.fail([Diagnostic(code="E-PLUGIN-UNKNOWN", facts=facts, spans=(Words(words).span(3),))], words)
    contract = entries[0].contract
    if contract is None:
        return common.fail(entries[0].diagnostics)
    if format_ == "json":
        common.dump_json(_document(contract, entries[0].path))
    else:
        click.echo(_text(contract, entries[0].path))
    return common.OK


@plugin.command("check", short_help="Check the contract of a plugin, and its code.")
@click.argument("target")
@click.option("--full", is_flag=True, help="The code, too, which is imported, and what readers of the contract miss.")
@click.option("--strict", is_flag=True, help="Warnings count: exit 3.")
def check_(target: str, full: bool, strict: bool) -> int:  # noqa: FBT001  (click hands options over by name)
    """Check the contract of a plugin: a folder, a contract.toml or a .py file with a script block.

    With --full the code is imported and compared with the contract; else nothing is run.
    """
    from meter.core.discovery import read_folder  # as in list_

    found = read_folder(target)
    if full:
        from meter.core.inspection import inspect  # the plugin interface

        found += inspect(target)
    shown = [diagnostic.to_json() for diagnostic in found]
    common.show(shown)
    if not any(diagnostic["severity"] == "error" for diagnostic in shown):
        click.echo(f"{target}: ok")
    return common.exit_code(shown, strict=strict)


@plugin.command(short_help="Print a JSON Schema, for editors.")
@click.option("--mounts", is_flag=True, help="That of meter.toml, instead of that of contract.toml.")
def schema(*, mounts: bool) -> int:
    """Print the JSON Schema (draft 2020-12) of contract.toml: for editors that complete and check what is typed.

    A schema cannot say all that `meter check` does: which units there are, which option a placeholder names.
    """
    from meter.contracts import schema as schemas  # the contract language, which a help text does not need

    common.dump_json(schemas.mounts() if mounts else schemas.contracts())
    return common.OK


def _default(option: Option) -> Any:
    from meter.contracts.language import ABSENT  # as in list_

    return None if option.default is ABSENT else option.default


def _shown(value: Any) -> str:
    """A value as it would be written."""
    if isinstance(value, str):
        return value
    import json  # only values that are no texts need it

    return json.dumps(value, ensure_ascii=False)


def _document(contract: Contract, path: str) -> dict[str, Any]:
    import attrs  # loaded with the contract language

    from meter.contracts.language import ABSENT

    document = attrs.asdict(
        contract, filter=lambda attribute, value: attribute.name not in ("source", "body") and value is not ABSENT
    )
    return {"format": "meter-plugin/1", "path": path, **document, "digest": contract.digest}


def _text(contract: Contract, path: str) -> str:
    from meter.contracts.editing.writing import toml  # the contract language, which a help text does not need

    lines = [
        f"{contract.name} {contract.version}: {contract.summary or 'no summary'}",
        f"{contract.placement}, by {contract.author or 'nobody'}, {contract.licence or 'no licence'}, {path}",
    ]
    if contract.provides.capabilities:
        lines += ["provides " + ", ".join(f"{n} {v}" for n, v in contract.provides.capabilities.items())]
    if contract.needs.capabilities:
        lines += ["needs " + ", ".join(f"{n} {v}" for n, v in contract.needs.capabilities.items())]
    for place, need in enumerate(contract.needs.host):
        said = [f"can read {pattern}" for pattern in need.readable]
        said += [f"the capability {name}" for name in need.capability]
        said += [f"the library {name}" for name in need.library]
        said += [f"events of {name}" for name in need.event]
        said += [f"the setting {name} {wanted}" for name, wanted in need.sysctl.items()]
        when = f"with {toml(need.when)}: " if need.when else ""
        lines += [("or " if place else "needs of the host: ") + when + ", ".join(said)]
    width = common.width()
    metrics = [
        [m.name, m.type, m.unit, m.kind, "|".join(m.resource), "|".join(m.consumer), ", ".join(sorted(m.attributes))]
        for m in contract.provides.metrics
    ]
    if metrics:
        headers = ["metric", "type", "unit", "kind", "resource", "consumer", "attributes"]
        lines += ["", render.listing(metrics, headers, width=width)]
    rules = [
        (r.metric, "|".join(r.kind) or "any", r.unit or "any", r.gives.name if r.gives else "-", _goes_on(r.keeps))
        for r in contract.needs.metrics
    ]
    if rules:
        told = [*dict.fromkeys(rules)]  # some differ in what is not shown, such as the options for which they are there
        lines += ["", render.listing(told, ["takes", "kind", "unit", "gives", "what it took"], width=width)]
    options = [
        [name, _type(option), "-" if _default(option) is None else _shown(_default(option)), option.summary]
        for name, option in sorted(contract.config.items())
    ]
    if options:
        lines += ["", render.listing(options, ["option", "type", "default", "meaning"], width=width, prose=True)]
    return "\n".join(lines)


def _type(option: Option) -> str:
    """The type of an option, with the values where these are named."""
    return f"{option.type}: {', '.join(option.values)}" if option.values else option.type


def _goes_on(keeps: bool) -> str:  # noqa: FBT001  (the clause's own value)
    return "goes on" if keeps else "ends here"
