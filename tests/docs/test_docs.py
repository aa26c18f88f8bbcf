"""What the pages say is what happens: their commands are run, and nothing that exists is left out of them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, NamedTuple

import click
import pytest

import contract_reference
import module_reference
import plugin_reference
from meter.cli.main import group
from meter.contracts.language import language
from meter.contracts.reader import read
from meter.core.discovery import discover
from tests import forks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.contracts.model import Contract

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUN = (
    *("README.md", "docs/tutorial.md", "docs/plugin-authors.md", "docs/contracts.md", "docs/command-line.md"),
    *("docs/ci.md", "docs/compatibility.md", "docs/host.md", "docs/delivery.md"),
    *("docs/verification.md", "docs/polling.md", "plugins/meter/plugins/rapl/README.md"),
    "plugins/meter/plugins/perf/README.md",
    "plugins/meter/plugins/cgroup/README.md",
    "plugins/meter/plugins/bridge/README.md",
    "plugins/meter/plugins/process/README.md",
)
DEADLINE_S = 60.0
BUILD_S = 600.0
"""Half a minute of work, which a busy machine stretches."""

# --------------------------------------------------------------------------------------------------- reading the pages

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- ([\w ]+?)(?:: (.*?))? -->\n$")


class Block(NamedTuple):
    """A fenced block and the mark in the line before it: its word, such as `file`, and what it says."""

    page: str
    line: int
    language: str
    text: str
    mark: str
    says: str


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """The fenced blocks of a page."""
    text = (ROOT / page).read_text()
    found = []
    for block in _BLOCK.finditer(text):
        mark = _MARK.search(text[: block.start()])
        line = text.count("\n", 0, block.start()) + 1
        found.append(Block(page, line, block[1], block[2], mark[1] if mark else "", (mark[2] if mark else None) or ""))
    return tuple(found)


class Step(NamedTuple):
    """A command and the output that the page shows."""

    command: str
    shown: str


def steps(text: str) -> Iterator[Step]:
    """The commands of a `console` block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield Step(command, shown)


# --------------------------------------------------------------------------------------------------------- running them


def environment(home: Path) -> dict[str, str]:
    """An environment in which `meter` is this meter and nothing is there of the user's own."""
    tools = home / "bin"
    tools.mkdir(parents=True)
    for name, words in {"meter": "-m meter ", "python3": ""}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (tools / name).chmod(0o755)
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    return {
        **kept,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }


_PLAIN = re.compile(r"(?:[\w./:,=@%+ -]|'[^'\n]*')+", re.ASCII)
"""What bash makes nothing of but words."""


class Shell:
    """Runs the blocks of one page in one folder."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "work"
        self.folder.mkdir()
        self.environment = environment(tmp_path / "home")

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and output, both streams as they come. Bash is asked where there is something for it to do."""
        words = shlex.split(command) if _PLAIN.fullmatch(command) else []
        if words[:1] == ["meter"] and words[1:2] != ["exec"]:
            ended = forks.run(
                words[1:], folder=self.folder, environment=self.environment, timeout=DEADLINE_S, merged=True
            )
            return ended.returncode, ended.stdout.decode()
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return done.returncode, done.stdout

    def write(self, block: Block) -> None:
        """Make the file that a block shows."""
        path = self.folder / block.says
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    def check(self, block: Block) -> None:
        """Run a `console` block and compare what comes with what is shown."""
        code = int(block.says) if block.mark == "exit" else 0
        todo = list(steps(block.text))
        for place, step in enumerate(todo):
            status, output = self.run(step.command)
            where = f"{block.page}:{block.line}: $ {step.command}\n{output}"
            assert status == (code if place == len(todo) - 1 else 0), where
            assert (resembles if block.mark == "sample" else equals)(step.shown, output), where


def equals(shown: str, output: str) -> bool:
    """Whether an output is the shown one; `...` stands for any text.

    Blanks at the end of a line do not count, nor does a tick that a busy machine has missed and the page does not show.
    """
    wanted = ".*?".join(map(re.escape, _stripped(shown).split("...")))
    if "missed" not in shown:
        output = re.sub(r", \d+ ticks? missed", "", output)
    return re.fullmatch(wanted, _stripped(output), re.DOTALL) is not None


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def resembles(shown: str, output: str) -> bool:
    """Whether all that is shown and has no digit in it is in the output, in the same order.

    What lies between commas, or between two blanks and more, is looked at; a lone `-` is a value.
    """
    position = 0
    for cell in re.split(r"\s{2,}|[,\n]", shown):
        if re.search(r"\d", cell) or cell in ("-", "", "..."):
            continue
        position = output.find(cell, position) + len(cell)
        if position < len(cell):
            return False
    return True


@pytest.mark.parametrize("page", RUN)
def test_every_command_does_what_the_page_shows(page: str, tmp_path: Path) -> None:
    """The commands of a page, one after the other in one folder, end and print as the page says."""
    shell = Shell(tmp_path)
    if "examples/" in (ROOT / page).read_text():
        copytree(ROOT / "examples", shell.folder / "examples", ignore=lambda _, names: _made(names))

    for block in blocks(page):
        if block.mark == "file":
            shell.write(block)
        elif block.language == "console" and block.mark != "not run":
            shell.check(block)


def _made(names: list[str]) -> set[str]:
    """What running the examples leaves in their folder."""
    return {name for name in names if not name.endswith(".toml")}


def test_the_first_command_measures(tmp_path: Path) -> None:
    """What the first command of the README does once meter is installed is what the README shows."""
    [block] = [block for block in blocks("README.md") if block.mark == "not run"]
    [step] = steps(block.text)
    install, _, measure = step.command.rpartition(" && ")

    status, output = Shell(tmp_path).run(measure.removeprefix(".venv/bin/"))

    assert install.startswith("python3 -m venv")
    assert (status, resembles(step.shown, output)) == (0, True), output


def test_only_what_sets_up_is_not_run() -> None:
    """Each page leaves out one block at most, and it says why."""
    left_out = [block for page in RUN for block in blocks(page) if block.mark == "not run"]

    assert [block.page for block in left_out] == ["README.md", "docs/tutorial.md"]
    assert all(block.says and "venv" in block.text for block in left_out)


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("a\nb\n", "a\nb", True),
        ("a ... c", "a b\nb c", True),
        ("a", "ab", False),  # nothing may follow
        ("a.c", "abc", False),  # a point is a point
        ("3 polls, 2 rows", "3 polls, 2 rows, 1 tick missed", True),  # as a busy machine says
        ("3 polls, 1 tick missed", "3 polls, 2 ticks missed", False),
    ],
)
def test_outputs_are_compared_whole(shown: str, output: str, same: bool) -> None:  # noqa: FBT001  (a table)
    """The comparison itself does not accept what is not shown."""
    assert equals(shown, output) is same


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("name  12 ms  measured", "name   1 s    measured", True),
        ("name  -  missing: 3 B", "name  4 B  measured", True),  # a value that may be there or not
        ("name  12 ms  measured", "name  12 ms  estimated", False),
        ("b  1\na  2", "a  1\nb  2", False),  # the order counts
    ],
)
def test_samples_are_compared_without_their_numbers(shown: str, output: str, same: bool) -> None:  # noqa: FBT001
    """Words and their order have to agree, values need not."""
    assert resembles(shown, output) is same


# ----------------------------------------------------------------------------------------------------- nothing left out


def commands(command: click.Command = group, name: str = "meter") -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, with its words."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            found = command.get_command(context, word)
            assert found is not None
            yield from commands(found, f"{name} {word}")
    else:
        yield name, command


@pytest.mark.parametrize(("name", "command"), [pytest.param(*each, id=each[0]) for each in commands()])
def test_commands_and_options_are_documented(name: str, command: click.Command) -> None:
    """Each command stands in the synopsis of command-line.md, each option in its section, and none is invented."""
    page = (DOCS / "command-line.md").read_text()
    section = next(part for part in re.split(r"^## ", page, flags=re.MULTILINE) if part.startswith(_head(name)))
    options = {text for parameter in command.params if isinstance(parameter, click.Option) for text in parameter.opts}

    rows = [row for row in section.splitlines() if row.startswith("| ")]
    if name.startswith("meter plugin "):
        word = f"`{name.rpartition(' ')[2]}`"
        rows = [row for row in rows if word in row.split("|")[1]]
    documented = {text for row in rows for text in re.findall(r"`(--?[a-z][\w-]*)", row)}
    assert re.search(rf"^{re.escape(name)} ", page, re.MULTILINE)
    assert options == documented


def _head(name: str) -> str:
    return " ".join(name.split()[:2])


def test_commands_that_are_named_exist() -> None:
    """Whatever page or README of a plugin says `meter WORD`, or shows it behind a prompt, there is such a command.

    `meter interval=1s` is the plugin of that name with an option.
    """
    pages = [*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("plugins/meter/plugins/*/README.md")]
    there = {name.split()[1] for name, _ in commands()}
    told = {
        (page.relative_to(ROOT).as_posix(), word)
        for page in pages
        for line in page.read_text().splitlines()
        for word in re.findall(
            r"(?:[\s/;&|(]|^)meter ([a-z]\w*)(?![\w=])" if line.startswith("$ ") else r"`meter ([a-z]\w*)", line
        )
    }

    assert len(told) > 50
    assert [each for each in sorted(told) if each[1] not in there] == []


def test_choices_of_options_are_documented() -> None:
    """The words that an option takes stand behind its name in the table."""
    page = (DOCS / "command-line.md").read_text()
    for _, command in commands():
        for parameter in command.params:
            if isinstance(parameter.type, click.Choice):
                words = r"\|".join(map(str, parameter.type.choices))
                assert f"`{parameter.opts[-1]} {words}`" in page


def test_environment_variables_are_documented() -> None:
    """Each variable that stands for an option is in command-line.md."""
    page = (DOCS / "command-line.md").read_text()
    names = {parameter.envvar for _, command in commands() for parameter in command.params if parameter.envvar}

    assert names
    assert [name for name in sorted(map(str, names)) if f"`{name}`" not in page] == []


def test_the_contract_reference_is_complete() -> None:
    """Every clause, code, unit, prefix and word of CONTRACT.ini is on the generated page."""
    known = language()
    page = contract_reference.fill((DOCS / "contracts.md").read_text())
    titles = set(re.findall(r"^### `(.*)`$", page, re.MULTILINE))
    parts = (
        "clause",
        "code",
        "type",
        "host",
        "text",
        "note",
        "breach",
        "export",
        "mismatch",
        "licence",
        "edit",
    )  # no words of a contract: parts of diagnostics
    elsewhere = ("class", "step", "variance", "lattice", "fact", "rule", "policy")  # compatibility.md, verification.md
    families = [family for family in known.words if family not in (*parts, *elsewhere)]
    words = [word for family in families for word in known.words[family]]

    assert titles == {clause.name for clause in known.clauses.values()} | set(known.codes)
    assert [word for word in words if f"| `{word}` |" not in page] == []
    assert "<!-- contract:" not in page


def test_the_page_of_versions_has_every_rule_and_word() -> None:
    """Each rule stands below its class, with what follows from it."""
    known = language()
    page = contract_reference.fill((DOCS / "compatibility.md").read_text())

    words = [word for family in ("class", "step", "variance", "lattice") for word in known.words[family]]
    assert [word for word in words if f"| `{word}` |" not in page] == []
    assert [rule for rule in known.words["rule"] if rule != "clause-changed" and f"| `{rule}` |" not in page] == []
    assert [fact for fact, says in known.words["fact"].items() if f"| {says['description']} |" not in page] == []
    assert "<!-- contract:" not in page


def test_the_page_of_contracts_while_running_has_every_policy() -> None:
    """With what it means."""
    page = contract_reference.fill((DOCS / "verification.md").read_text())

    assert [word for word in language().values("policy") if f"| `{word}` |" not in page] == []
    assert "<!-- contract:" not in page


def test_every_link_of_the_contract_reference_has_its_target() -> None:
    """Codes name clauses and clauses name codes that are there."""
    page = contract_reference.fill((DOCS / "contracts.md").read_text())
    targets = re.findall(r"^\((.*)\)=$", page, re.MULTILINE)

    assert len(set(targets)) == len(targets)
    assert set(re.findall(r"\]\(#((?:clause|code)-[^)]*)\)", page)) <= set(targets)


@pytest.mark.parametrize("root", ["contracts", "core", "cli"])
def test_the_page_of_the_architecture_names_every_module(root: str) -> None:
    """Each file of Python has a row, which says what it is in a sentence."""
    page = module_reference.fill((DOCS / "architecture.md").read_text())
    named = dict(re.findall(r"^\| `(meter\.\S+)` \| (.+) \|$", page, re.MULTILINE))
    files = {str(path.relative_to(ROOT)) for path in (ROOT / root).rglob("*.py")}
    paths = {name: f"{root}/{name.replace('.', '/')}" for name in named}

    assert "<!-- modules" not in page
    assert [file for file in files if file.removesuffix("/__init__.py").removesuffix(".py") not in paths.values()] == []
    assert [name for name, said in named.items() if said.rstrip(")")[-1] not in ".?"] == []


def test_a_module_that_says_nothing_has_no_place_on_the_page(tmp_path: Path) -> None:
    """The build ends there, and names it."""
    (tmp_path / "mute.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"mute\.py says nothing"):
        module_reference.summary(tmp_path / "mute.py")


PLUGINS = [pytest.param(contract, id=contract.name) for contract in plugin_reference.builtin()]


@pytest.mark.parametrize("contract", PLUGINS)
def test_every_plugin_has_a_page_with_all_that_it_states(contract: Contract) -> None:
    """Metrics and options have a row, and every selector, unit, need and constraint is there."""
    page = plugin_reference.page(contract)
    told = [*(metric.unit for metric in contract.provides.metrics), *contract.require, *contract.status]
    told += [*contract.needs.capabilities, *(path for need in contract.needs.host for path in need.readable)]
    told += [
        name for need in contract.needs.host for name in (*need.capability, *need.library, *need.event, *need.sysctl)
    ]
    rows = [*(metric.name for metric in contract.provides.metrics), *contract.config]

    assert page.startswith(f"# {contract.name}\n")
    assert [name for name in rows if f"| `{name}` |" not in page] == []
    assert [text for text in told if f"`{text}`" not in page] == []
    assert [rule.metric for rule in contract.needs.metrics if f'`"{rule.metric}"`' not in page] == []


@pytest.mark.parametrize("contract", PLUGINS)
def test_every_page_shows_a_mount_that_is_accepted(contract: Contract) -> None:
    """The example of a page, which the check accepted, or one of the README."""
    page = plugin_reference.page(contract)

    assert re.search(rf"meter mount /\S+ .*\b{re.escape(contract.name)}\b", page)


@pytest.mark.parametrize("contract", PLUGINS)
def test_every_page_has_the_sections_of_the_readme(contract: Contract) -> None:
    """What a README says below its head is on the page."""
    readme = Path(contract.source.file).with_name("README.md")
    text = readme.read_text() if readme.is_file() else ""  # that it is there another test demands
    page = plugin_reference.page(contract)

    assert [line for line in text.splitlines() if line.startswith("## ") and line not in page.splitlines()] == []


def test_what_a_rule_states_is_shown_with_its_clauses() -> None:
    """A clause of a rule that says something other than the language's default stands there with its value."""
    [rate] = [contract for contract in plugin_reference.builtin() if contract.name == "rate"]
    page = plugin_reference.page(rate)

    assert 'needs.metrics.gives.unit`](../contracts.md#clause-needs-metrics-gives-unit): `"${unit}/s"`' in page
    assert "needs.metrics.keeps`" not in page


@pytest.mark.parametrize(
    ("link", "moved"),
    [
        ("[rate](../rate/README.md)", "[rate](rate.md)"),
        ("[it](../../../../docs/formats.md#csv)", "[it](../formats.md#csv)"),
        ("[it](https://example.org/a)", "[it](https://example.org/a)"),
        ("[the code](plugin.py)", "the code"),  # no page shows it
    ],
)
def test_links_of_a_readme_lead_somewhere_on_a_page(tmp_path: Path, link: str, moved: str) -> None:
    """They are written from the plugin's folder, and the page is another one."""
    contract = tmp_path / "plugins" / "meter" / "plugins" / "mine" / "contract.toml"
    contract.parent.mkdir(parents=True)
    contract.write_bytes((ROOT / "plugins" / "meter" / "plugins" / "random" / "contract.toml").read_bytes())
    contract.with_name("README.md").write_text(f"# random\n\n## More\n\nSee {link}.\n")
    found = read(contract.read_bytes(), str(contract)).contract
    assert found is not None

    assert plugin_reference.page(found).endswith(f"## More\n\nSee {moved}.\n")


def test_the_index_lists_every_plugin() -> None:
    """Each built-in plugin has a row with a link to its page and stands in the list for Sphinx."""
    page = plugin_reference.fill((DOCS / "plugins.md").read_text())

    for contract in plugin_reference.builtin():
        assert f"| [`{contract.name}`](plugins/{contract.name}.md) | {contract.placement} |" in page
        assert f"\nplugins/{contract.name}\n" in page


def test_pages_of_plugins_are_written_once_and_taken_out(tmp_path: Path) -> None:
    """A page that is as it was is not written again; that of a plugin that is gone disappears."""
    plugin_reference.write(tmp_path)
    (tmp_path / "gone.md").write_text("# gone\n")
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.md") if path.name != "gone.md"}
    plugin_reference.write(tmp_path)

    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.md")}
    assert "cpu.md" in before


@pytest.mark.tools("sphinx", "furo")
def test_the_built_pages_hold_clauses_codes_commands_and_plugins(tmp_path: Path) -> None:
    """What Sphinx makes of the pages, without a warning, has a target or a mention for each of them."""
    copytree(DOCS, tmp_path / "docs", ignore=lambda *_: {"_build"})
    html = tmp_path / "html"
    words = ["-q", "-W", "--keep-going", "-b", "html", str(tmp_path / "docs"), str(html)]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words], capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    assert done.returncode == 0, done.stderr

    known = language()
    contracts = (html / "contracts.html").read_text()
    targets = [contract_reference.target("clause", clause.name) for clause in known.clauses.values()]
    targets += [contract_reference.target("code", name) for name in known.codes]
    assert [name for name in targets if f'id="{name}"' not in contracts] == []

    page = (html / "command-line.html").read_text()
    for name, command in commands():
        assert name in page
        options = [opt for each in command.params if isinstance(each, click.Option) for opt in each.opts]
        assert [opt for opt in options if f">{opt}" not in page] == []

    for contract in plugin_reference.builtin():
        page = (html / "plugins" / f"{contract.name}.html").read_text()
        names = [*(metric.name for metric in contract.provides.metrics), *contract.config]
        assert [name for name in names if f">{name}<" not in page] == []


def test_every_plugin_has_a_readme_and_is_in_the_table() -> None:
    """Each built-in plugin has a README.md that begins with its name, and a row in the README's table."""
    readme = (ROOT / "README.md").read_text()
    folder = ROOT / "plugins" / "meter" / "plugins"

    for contract in discover(installed=False).catalogue.contracts():
        own = folder / contract.name / "README.md"
        assert own.is_file(), contract.name
        assert re.search(rf"^# {contract.name}$", own.read_text(), re.MULTILINE)
    for contract in plugin_reference.builtin():
        own_page = f"plugins/meter/plugins/{contract.name}/README.md"
        assert f"| [`{contract.name}`]({own_page}) | {contract.placement} |" in readme


def test_the_first_plugin_is_short_and_faultless(tmp_path: Path) -> None:
    """The README's own plugin has at most 20 lines, and its check finds nothing."""
    [block] = [block for block in blocks("README.md") if block.mark == "file"]
    shell = Shell(tmp_path)
    shell.write(block)

    status, output = shell.run(f"meter plugin check --strict {block.says}")

    assert len(block.text.splitlines()) <= 20
    assert (status, output) == (0, f"{block.says}: ok\n")


def test_the_mount_file_of_the_formats_page_is_sound(tmp_path: Path) -> None:
    """What formats.md shows of meter.toml passes the check."""
    shell = Shell(tmp_path)
    for block in blocks("docs/formats.md"):
        if block.mark == "file":
            shell.write(block)

    assert shell.run("meter check --host assume --strict") == (0, "/host: ok, cpu, memory -> rate -> csv, rates\n")


def test_the_document_of_exec_is_described(tmp_path: Path) -> None:
    """Every key of `meter exec --format json`, of its parts and of its metrics has a place on the formats page."""
    status, output = Shell(tmp_path).run("meter exec --format json -- true")
    document = json.loads(output)
    parts = ("cpu", "memory", "io", "energy")
    keys = [*(f"{part}.{key}" for part in parts for key in document[part]), *(set(document) - set(parts))]
    page = (DOCS / "formats.md").read_text()

    assert status == 0
    assert [key for key in [*keys, *document["metrics"][0]] if f"`{key}`" not in page] == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_are_sound(path: Path, tmp_path: Path) -> None:
    """Each mount file in examples/ passes the check without a warning, and its paths are relative."""
    status, output = Shell(tmp_path).run(f"meter check --host assume --strict {path}")

    assert (status, output.count(": ok, ")) == (0, 1), output
    for mount in tomllib.loads(path.read_text())["mounts"].values():
        assert not any(os.path.isabs(options.get("path", "")) for options in mount["config"].values())


def test_links_between_files_lead_somewhere() -> None:
    """Relative links of the Markdown files name files that are there."""
    pages = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + sorted(DOCS.glob("*.md"))
    broken = [
        (page.name, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if not link.startswith(("http", "#")) and not (page.parent / link).exists()
    ]

    assert broken == []
