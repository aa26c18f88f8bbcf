"""`meter explain`: why each plugin of a backend is there and stands where it does; what a code means."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from meter.cli import common, recorded, render

if TYPE_CHECKING:
    from meter.contracts.hops import Candidate

_CODE: Final = re.compile(r"[EeWw]-[A-Za-z-]*")
_LIKE_CODE: Final = re.compile(r"[A-Z]+|[A-Za-z]+(-[A-Za-z]+)+")
_FACT: Final = re.compile(r"\$\{(\w+)\}")
_INDENT: Final = "    "


def _instances(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What a TAB may complete to: the instances of the mountpoint, as far as the lock knows them."""
    from meter.core import lock  # light

    try:
        document = lock.read(lock.lock_path(common.mount_file(context.params.get("file"))))
        order = document["mounts"][context.params["target"]]["plan"]["order"]
    except (lock.LockError, KeyError):
        return []
    return [label for label in order if label.startswith(incomplete)]


@click.command()
@click.argument("target", required=False, metavar="[MOUNTPOINT|CODE]", shell_complete=recorded.mountpoints)
@click.argument("instance", required=False, metavar="[INSTANCE]", shell_complete=_instances)
@common.format_option
@common.file_option
@common.plugin_dir_option
@common.sysroot_option
def explain(
    target: str | None,
    instance: str | None,
    format_: str,
    file: str | None,
    plugin_dirs: tuple[str, ...],
    sysroot: str | None,
) -> int:
    """Explain a mounted backend, one instance of it, or the code of a diagnostic.

    Of each instance: why it is there, why at that place, what it takes and gives, its options and where each value
    comes from. Without an argument all mounts of the mount file are explained. Nothing is run and nothing changed.

    Exit: 0 explained, 1 contract errors, 4 drift, 5 a file cannot be read.
    """
    if target is not None and _CODE.fullmatch(target):
        if instance is not None:
            raise click.UsageError(f"A code has no instances: {instance!r} is one word too many.")
        return _explain_code(target.upper(), format_)
    if target is not None and _LIKE_CODE.fullmatch(target) and (meant := _code_meant(target)):
        raise click.UsageError(f"{target!r} is neither a mountpoint nor a code. Did you mean {meant!r}?")
    if target is not None and not target.startswith("/") and common.is_plugin(target, plugin_dirs):
        raise click.UsageError(
            f"{target!r} is a plugin: `meter plugin info {target}` shows it. A mountpoint begins with `/`."
        )
    path = common.mount_file(file)
    words = ["meter", "explain", *([target] if target is not None else [])]
    found, diagnostics = recorded.plans(path, target, plugin_dirs, sysroot, words)
    backends = [_document(each, path) for each in found]
    for backend in backends:
        _known(backend, instance)
    if format_ == "json":
        for backend in backends:
            backend["plugins"] = [each for each in backend["plugins"] if instance in (None, each["instance"])]
        common.dump_json({"format": "meter-explain/1", "backends": backends, "diagnostics": diagnostics})
        return common.exit_code(diagnostics)
    common.show(diagnostics, words)
    page = _Page(max(20, shutil.get_terminal_size((120, 24)).columns))
    texts = ["\n".join(page.backend(backend, instance)) for backend in backends]
    if texts:
        colour = render.colour_wanted(sys.stdout)
        click.echo("\n\n".join(texts) if colour else click.unstyle("\n\n".join(texts)), color=colour)
    elif not diagnostics:
        click.echo("nothing is mounted; `meter mount /host cpu csv path=host.csv` does")
    return common.exit_code(diagnostics)


def _known(backend: Mapping[str, Any], instance: str | None) -> None:
    """Raises UsageError, the backend has no such instance."""
    if instance is None or instance in backend["order"]:
        return
    from difflib import get_close_matches  # for an error only

    near = get_close_matches(instance, backend["order"])
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    there = ", ".join(backend["order"])
    raise click.UsageError(f"No instance {instance!r} at {backend['mountpoint']}.{meant} There are: {there}.")


# ------------------------------------------------------------------------------------------------------------ backends


def _document(found: recorded.Recorded, path: str) -> dict[str, Any]:
    """A backend as `--format json` shows it; the text is made of the same."""
    from meter.contracts import hops  # light, but a help text needs none

    plan = found.plan
    others = hops.candidates(plan)
    origins = _Origins(path, plan["mountpoint"])
    return {
        "mountpoint": plan["mountpoint"],
        "sound": found.sound,
        "order": plan["order"],
        "plugins": [
            {
                **{name: plugin[name] for name in ("instance", "plugin", "version", "placement", "role", "because")},
                "contract": found.contracts.get(plugin["plugin"]),
                "alternative": plugin["alternative"],
                "place": [reason._asdict() for reason in hops.placed(plan, plugin["instance"])],
                **{name: plan["hops"][plugin["instance"]][name] for name in ("takes", "adds", "narrows", "ends")},
                "schema": hops.behind(plan, plugin["instance"]) if plugin["role"] in ("source", "filter") else [],
                "options": origins.options(plugin, found.contracts.get(plugin["plugin"])),
                "rejected": [_candidate(each) for each in others.get(plugin["instance"], ())],
            }
            for plugin in plan["plugins"]
        ],
        "rejected": [_candidate(each) for each in others.get("", ())],
        "left_out": plan["left_out"],
        "additive": plan["additive"],
    }


def _candidate(each: Candidate) -> dict[str, str]:
    return {"plugin": each.plugin, "for": each.need, "why": each.why}


class _Origins:
    """Where the values of options were written: in the mount file, or in a contract."""

    def __init__(self, path: str, mountpoint: str) -> None:
        self._path = path
        self._mountpoint = mountpoint
        self._read: dict[str, tuple[Any, Any]] = {}

    def options(self, plugin: Mapping[str, Any], contract: str | None) -> list[dict[str, Any]]:
        """Each option with its value, its type, where the value comes from and in which line that stands."""
        from meter.contracts.editing.written import written  # light, but a help text needs none
        from meter.core.own_check import EXPORT

        label = plugin["instance"]
        found = []
        for name, value in plugin["config"].items():
            given = plugin["origins"][name]
            asked = given in ("asked", EXPORT)
            at = ("mounts", self._mountpoint, "config", label, name) if asked else ("config", name, "default")
            place = self._place(self._path if asked else contract, at)
            if given == EXPORT:
                origin = "completed"
            elif given not in ("asked", "default"):  # handed over by another contract
                origin, place = given, None
            else:
                origin = "asked" if asked else "default" if place or not _is_read(contract) else "implied"
            type_ = plugin["types"][name]
            shown = {"option": name, "value": value, "text": written(value, type_), "type": type_, "origin": origin}
            found.append({**shown, "file": place[0] if place else None, "line": place[1] if place else None})
        return found

    def _place(self, file: str | None, at: tuple[str, ...]) -> tuple[str, int] | None:
        """File and line of a value, None where it cannot be found."""
        if file is None or not _is_read(file):
            return None
        document, locator = self._parsed(file)
        for part in at:
            if not isinstance(document, dict) or part not in document:
                return None
            document = document[part]
        return file, locator.value(*at).line

    def _parsed(self, file: str) -> tuple[Any, Any]:
        import tomllib  # the values of a sound plan are all in it; only an explanation asks where they stand

        from meter.contracts.spans import Locator  # light

        if file not in self._read:
            try:
                with open(file, encoding="utf-8") as source:
                    text = source.read()
                self._read[file] = tomllib.loads(text), Locator(text, file)
            except (OSError, ValueError):  # it has changed since it was checked; then the place is not known
                self._read[file] = None, None
        return self._read[file]


def _is_read(file: str | None) -> bool:
    """Whether lines of a file can be told: of a single-file plugin they cannot."""
    return file is not None and not file.endswith(".py") and os.path.isfile(file)


# ---------------------------------------------------------------------------------------------------------------- text


class _Page:
    """Backends as text in lines of at most `width` columns."""

    def __init__(self, width: int) -> None:
        self._width = width

    def backend(self, backend: Mapping[str, Any], only: str | None) -> Iterator[str]:
        """A backend, or what is asked of it."""
        from meter.contracts import hops  # it is loaded, as there is something to explain

        yield from self._folded(f"{backend['mountpoint']}: ", hops.chain(backend), 4)
        if not backend["sound"]:
            yield from self._folded("", "This is what was mounted; the check does not pass it now.", 0)
        if only is None:
            yield ""
            yield from self._overview(backend)
        for plugin in backend["plugins"]:
            if only in (None, plugin["instance"]):
                yield ""
                yield from self._plugin(backend, plugin, whole=only is not None)
        if only is None and backend["rejected"]:
            yield ""
            yield from self._rejected(backend["rejected"], "")
        if only is None and backend["left_out"]:
            yield ""
            for each in backend["left_out"]:
                yield from self._folded("", f"left out: {each['instance']}, {each['because']}; {each['why']}", 2)

    def _overview(self, backend: Mapping[str, Any]) -> Iterator[str]:
        """Why each instance is there, and why it stands behind those before it."""
        plugins = backend["plugins"]
        digits = len(str(len(plugins)))
        name = max(render.columns(render.visible(each["instance"])) for each in plugins)
        fits = digits + name + 3 <= self._width // 3
        others = {each["instance"]: each for each in plugins}
        for number, plugin in enumerate(plugins, start=1):
            label = render.visible(plugin["instance"])
            blanks = " " * (name - render.columns(label) if fits else 0)
            there = self._there(plugin)
            behind = [_sentence(each, plugin, others) for each in plugin["place"] if each["side"] == "after"]
            told = "; ".join([there, *behind]) if behind else f"{there}; first"
            head = f"{number:>{digits}} {_bold(label)}{blanks}  "
            yield from self._folded(head, told, digits + 3 + name if fits else digits + 1)

    @staticmethod
    def _there(plugin: Mapping[str, Any]) -> str:
        return "asked for" if plugin["because"] == "asked" else plugin["because"]

    def _plugin(self, backend: Mapping[str, Any], plugin: Mapping[str, Any], *, whole: bool) -> Iterator[str]:
        label = _bold(render.visible(plugin["instance"]))
        named = "" if plugin["plugin"] == plugin["instance"] else f"plugin {plugin['plugin']}, "
        yield from self._folded(f"{label}: ", f"{plugin['placement']}, {named}version {plugin['version']}", 4)
        if whole:
            others = {each["instance"]: each for each in backend["plugins"]}
            yield from self._folded("  there because  ", self._there(plugin), 4)
            head = "  stands  "
            for reason in plugin["place"]:
                yield from self._folded(head, _sentence(reason, plugin, others), 10)
                head = " " * 10
            if plugin["alternative"]:
                told = f"{plugin['alternative']}, the first alternative of `needs.host` that holds here"
                yield from self._folded("  works with  ", told, 4)
            if plugin["contract"]:
                yield from self._folded("  contract  ", plugin["contract"], 4)
        yield from self._takes(plugin)
        yield from self._schema(backend, plugin, whole=whole)
        yield from self._options(plugin)
        yield from self._rejected(plugin["rejected"], "  ")

    def _takes(self, plugin: Mapping[str, Any]) -> Iterator[str]:
        """What an instance takes, by giver."""
        givers: dict[str, list[str]] = {}
        for take in plugin["takes"]:
            givers.setdefault(take["from"], []).append(take["metric"] + take["part"])
        if plugin["role"] == "recover":
            outputs = [each["value"] for each in plugin["options"] if each["option"] == "for"]
            named = " or ".join(f"`{render.visible(each)}`" for each in (outputs[0] if outputs else ()))
            yield from self._folded("  ", f"keeps what {named} cannot deliver, and hands it back", 4)
        elif plugin["role"] != "source" and not givers:
            yield from self._folded("  takes ", "nothing", 4)
        for giver, metrics in givers.items():
            yield from self._folded(f"  takes from {render.visible(giver)}: ", ", ".join(metrics), 6)

    def _schema(self, backend: Mapping[str, Any], plugin: Mapping[str, Any], *, whole: bool) -> Iterator[str]:
        """The metrics behind an instance; of those that only pass the number, or all where the `whole` is wanted."""
        if plugin["role"] not in ("source", "filter"):
            return
        added = {(row["metric"], row["from"]) for row in plugin["adds"]}
        narrowed = {(row["metric"], row["from"]) for row in plugin["narrows"]}
        names = {row["metric"] for row in plugin["adds"]}
        ended = [row for row in plugin["ends"] if row["metric"] not in names]
        changed = {row["metric"] for row in plugin["ends"]} & names
        marked = []
        for row in plugin["schema"]:
            key = row["metric"], row["from"]
            mark = (
                "~" if key in narrowed or (key in added and row["metric"] in changed) else "+" if key in added else " "
            )
            marked.append((mark, row))
        shown = [(mark, row) for mark, row in marked if whole or mark != " "]
        if shown or ended or whole:
            marks = "" if plugin["role"] == "source" else " (+ new, ~ changed, - dropped)"
            yield from self._folded("  ", ("all metrics behind it" if whole else "gives") + marks, 4)
        for mark, row in shown:
            yield from self._metric(mark, row, _told(backend, row))
        for row in ended:
            yield from self._folded(f"{_INDENT}- ", f"{row['metric']} of {row['from']} ends here", 8)
        rest = len(marked) - len(shown)
        if rest and plugin["role"] != "source":
            yield from self._folded(_INDENT, f"{rest} other{'s' * (rest > 1)} unchanged", 6)

    def _metric(self, mark: str, row: Mapping[str, Any], told: Iterable[str]) -> Iterator[str]:
        """A metric in a line with what is `told` of it besides, its attributes below."""
        where = "|".join(row["resource"])
        consumer = "" if row["consumer"] == ["machine"] else f" by {'|'.join(row['consumer'])}"
        quality = [] if row["quality"] == "measured" else [row["quality"]]
        shape = ", ".join([row["kind"], row["type"], row["unit"], f"of {where}{consumer}", *quality, *told])
        yield from self._folded(f"{_INDENT}{mark} ", f"{row['metric']}  {shape}", 8)
        for name, values in sorted(row["attributes"].items()):
            domain = "any text" if values is None else ", ".join(values)
            yield from self._folded(f"{_INDENT}    {render.visible(name)}: ", domain, 10)

    def _options(self, plugin: Mapping[str, Any]) -> Iterator[str]:
        if plugin["options"]:
            yield "  options"
        for each in plugin["options"]:
            line = each["line"]
            if each["origin"] == "asked":
                origin = f"{each['file']}:{line}" if line else "asked"
            elif each["origin"] == "completed":
                origin = (
                    f"completed by the plugin itself, {each['file']}:{line}"
                    if line
                    else "completed by the plugin itself"
                )
            elif each["origin"] == "implied":
                origin = f"default of every {plugin['placement']}"
            elif each["origin"] != "default":
                origin = each["origin"]
            else:
                origin = f"default, line {line} of the contract" if line else "default of the contract"
            yield from self._folded(f"{_INDENT}{render.visible(each['option'])} = ", f"{each['text']}  ({origin})", 8)

    def _rejected(self, rejected: Sequence[Mapping[str, str]], indent: str) -> Iterator[str]:
        """The plugins that were not chosen, for what they could have been there, and why they are not."""
        for each in rejected:
            told = f"not chosen for `{each['for']}`: {each['plugin']}; {each['why']}"
            yield from self._folded(indent, told, len(indent) + 2)

    def code(self, document: Mapping[str, Any]) -> Iterator[str]:
        """What a code means."""
        yield from self._folded(_bold(f"{document['severity']}[{document['code']}]: "), document["about"], 4)
        yield ""
        yield from self._folded("  says: ", _facts(document["message"]), 4)
        if document["help"] and not _FACT.fullmatch(document["help"]):
            yield from self._folded("  help: ", _facts(document["help"]), 4)
        for name, texts in document["variants"].items():
            if "message" not in texts:
                yield from self._folded(f"  help ({name}): ", _facts(texts["help"]), 4)
        for name, texts in document["variants"].items():
            if "message" in texts:
                yield ""
                yield from self._folded(f"  {name}: ", _facts(texts["message"]), 4)
                if "help" in texts and not _FACT.fullmatch(texts["help"]):
                    yield from self._folded("    help: ", _facts(texts["help"]), 6)
        for number, each in enumerate(document["clauses"]):
            if not number:
                yield ""
                yield from self._folded("", "clauses that can cause it", 2)
            yield from self._folded(f"  {each['clause']}: ", each["description"], 4)
        if document["example"]:
            yield ""
            yield from self._example(document["example"])

    def _example(self, example: Mapping[str, Any]) -> Iterator[str]:
        """What shows a code, and what is said of it."""
        head = {
            "clause": f"refused: an example of `{example['clause']}`",
            "mounts": "refused: an example of a mount file, with contracts of its own",
            "commands": "an example: the last of these commands says it",
        }
        yield from self._folded("", head[example["form"]], 4)
        for line in example["text"].split("\n"):
            yield f"    {render.visible(line)}"
        if example["plugins"]:
            yield from self._folded("  ", "`probe` gives the gauge `probe.value`, `sink` takes everything", 4)
        if example["says"]:
            yield from self._folded("  says: ", example["says"]["message"], 4)
            yield from self._folded("  help: ", example["says"]["help"] or "", 4)

    def _folded(self, head: str, text: str, indent: int) -> Iterator[str]:
        """A head and a text behind it, broken at blanks; further lines are indented, as far as the width allows."""
        indent = min(indent, self._width // 3)
        plain = click.unstyle(head)
        if render.columns(plain) + 8 > self._width:  # no room behind it: the head is broken like the text
            head = plain[: len(plain) - len(plain.lstrip())]
            text = f"{plain.lstrip()}{text}"
        line, used, begun = head, render.columns(click.unstyle(head)), False
        for word in render.visible(text).split(" "):
            rest, gap = word, " " * begun
            if used + len(gap) + render.columns(rest) > self._width and (begun or used > indent):
                yield line.rstrip()
                line, used, gap = " " * indent, indent, ""
            while used + render.columns(rest) > self._width:  # longer than a line: broken anywhere
                piece = _fitting(rest, self._width - used)
                yield line + piece
                line, used, rest = " " * indent, indent, rest[len(piece) :]
            line += gap + rest
            used += len(gap) + render.columns(rest)
            begun = begun or bool(word)
        yield line.rstrip()


def _fitting(word: str, room: int) -> str:
    """The beginning of a word that fits, of one character at least."""
    end = 1
    while end < len(word) and render.columns(word[: end + 1]) <= room:
        end += 1
    return word[:end]


def _facts(text: str) -> str:
    """A text of CONTRACT.ini with `<fact>` where a fact is put in."""
    return _FACT.sub(r"<\1>", text)


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _told(backend: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[str]:
    """What decides about sums and windows, where it is not as the kind has it or its giver has changed it."""
    from meter.contracts.quantities import format_duration  # light

    givers = {plugin["instance"]: plugin for plugin in backend["plugins"]}
    taken = {(take["metric"], take["from"]) for take in givers[row["from"]]["takes"]}
    before = [each for _, origin in taken for each in givers[origin]["adds"] if (each["metric"], origin) in taken]
    if {row["additive"]} != {row["kind"] in backend["additive"], *(each["additive"] for each in before)}:
        yield "additive" if row["additive"] else "not additive"
    if before and row["interval"] not in {each["interval"] for each in before}:
        yield f"every {format_duration(row['interval'])}"


def _sentence(reason: Mapping[str, str], plugin: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> str:
    """Why an instance stands before or after another one, in words."""
    side, other, rule, subject = reason["side"], reason["other"], reason["rule"], reason["subject"]
    after = side == "after"
    told = f"{side} `{other}`"
    if rule == "placement" and "recover" in (plugin["role"], others[other]["role"]):
        return f"{told}{': it' if after else ', which'} gets what outputs cannot deliver"
    if rule == "placement":
        return f"{told}: every {plugin['placement']} comes {side} every {others[other]['placement']}"
    if rule == "gives":
        return f"{told}, which gives `{subject}`" if after else f"{told}, which reads `{subject}`"
    if rule in ("removes", "changes"):
        past = {"removes": "removed", "changes": "changed"}[rule]
        return (
            f"{told}, which reads `{subject}` before it is {past} here"
            if after
            else f"{told}, which {rule} `{subject}`"
        )
    if rule == "order":
        return f"{told}: the request says so (`order`)"
    if rule == "clause":
        whose = f" of `{reason['plugin']}`" if reason["plugin"] else ""
        return f"{told}: the contract{whose} says so (`{subject}`)"
    asked = [each["because"] == "asked" for each in (plugin, others[other])]
    if all(asked):
        return f"{told}: nothing orders the two, so they stand as asked for"
    if any(asked):
        return f"{told}: nothing orders the two, and what was asked for comes before what is needed"
    return f"{told}: nothing orders the two, so they stand in the order in which they were needed"


# --------------------------------------------------------------------------------------------------------------- codes


def _code_meant(target: str) -> str:
    """The code that a word without its first letter, or misspelt, stands for; empty where there is none."""
    from difflib import get_close_matches  # for an error only

    from meter.contracts.language import language  # the contract language: only codes need it

    codes = language().codes
    word = target.upper()
    exact = [code for code in codes if code.partition("-")[2] == word]
    return next(iter(exact or get_close_matches(f"E-{word}", codes, n=1, cutoff=0.9)), "")


def _explain_code(code: str, format_: str) -> int:
    from meter.contracts import examples  # the contract language: only codes need it
    from meter.contracts.language import language

    known = language()
    if code not in known.codes:
        from difflib import get_close_matches  # for an error only

        words = [name.partition("-")[2] for name in known.codes]
        near = [
            name
            for word in get_close_matches(code.partition("-")[2], dict.fromkeys(words))
            for name in known.codes
            if name.partition("-")[2] == word
        ]
        meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise click.UsageError(f"No such code {code!r}.{meant} They are in the contract reference.")
    entry = known.codes[code]
    clauses = [clause for clause in known.clauses.values() if code in clause.codes]
    example = examples.example_of(code)
    told = None if example is None else examples.said(code, example)
    document = {
        "format": "meter-explain/1",
        "code": code,
        "severity": entry.level,
        "about": entry.about,
        "message": entry.text("message"),
        "help": entry.text("help"),
        "variants": {
            name: {
                part: entry.texts[f"{part}.{name}"] for part in ("message", "help") if f"{part}.{name}" in entry.texts
            }
            for name in entry.variants()
        },
        "clauses": [{"clause": clause.name, "description": clause.description} for clause in clauses],
        "example": None
        if example is None
        else {
            "form": example.form,
            "clause": example.clause or None,
            "text": example.text.strip(),
            "plugins": sorted(examples.stated(example.text)) if example.form == "mounts" else [],
            "says": None if told is None else {"message": told.message, "help": told.help or None},
        },
    }
    if format_ == "json":
        common.dump_json(document)
        return common.OK
    page = _Page(max(20, shutil.get_terminal_size((120, 24)).columns))
    colour = render.colour_wanted(sys.stdout)
    text = "\n".join(page.code(document))
    click.echo(text if colour else click.unstyle(text), color=colour)
    return common.OK
