"""Lazy groups: nothing is imported but the command that is called, and all is said as click says it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from meter.cli.lazy import Entry, LazyGroup

PACKAGE = "lazily_imported_commands"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable folder of modules with one command each, in an otherwise empty `sys.path`."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name in ("check", "mount"):
        (folder / f"{name}.py").write_text(
            "import click\n@click.command()\n@click.option('--strict', is_flag=True)\n"
            f"def command(strict):\n    '''The help of {name} itself.'''\n    click.echo(f'{name} {{strict}}')\n"
        )
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in imported():
        del sys.modules[name]


def imported() -> list[str]:
    """The modules of commands that were imported."""
    return [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]


@pytest.fixture
def group(commands: Path) -> LazyGroup:
    """A group of lazy commands and one of the usual kind."""
    table = {
        "mount": Entry(f"{PACKAGE}.mount:command", "Build a backend"),
        "check": Entry(f"{PACKAGE}.check:command", "Check what is mounted"),
        "broken": Entry(f"{PACKAGE}.broken:command", "Always fail"),
        "secret": Entry(f"{PACKAGE}.check:command", "Not listed", hidden=True),
    }
    made = LazyGroup("meter", lazy=table, help="Measures.", context_settings={"terminal_width": 60})
    made.add_command(click.Command("about", help="Tell the version.", callback=lambda: click.echo("about")))
    made.add_command(click.Command("quiet", hidden=True))
    assert commands
    return made


class TestLazyGroup:
    """`LazyGroup`."""

    def test_help_comes_from_the_table(self, group: LazyGroup) -> None:
        """In the table's order, without any import, and without what is hidden."""
        result = CliRunner().invoke(group, ["--help"])

        assert (
            result.output
            == """\
Usage: meter [OPTIONS] COMMAND [ARGS]...

  Measures.

Options:
  --help  Show this message and exit.

Commands:
  mount   Build a backend
  check   Check what is mounted
  broken  Always fail
  about   Tell the version.
"""
        )
        assert result.exit_code == 0
        assert not imported()

    def test_a_command_is_imported_when_it_is_called(self, group: LazyGroup) -> None:
        """It alone."""
        result = CliRunner().invoke(group, ["check", "--strict"])

        assert result.output == "check True\n"
        assert [f"{PACKAGE}.check"] == imported()

    def test_the_help_of_a_command_is_its_own(self, group: LazyGroup) -> None:
        """The table has the short form only; the usage names the group."""
        output = CliRunner().invoke(group, ["mount", "--help"]).output

        assert "Usage: meter mount [OPTIONS]" in output
        assert "The help of mount itself." in output

    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("chekc", "Error: No such command 'chekc'. Did you mean 'check'?"),
            ("Check", "Error: No such command 'Check'. Did you mean 'check'?"),
            ("mo", "Error: No such command 'mo'. Did you mean 'mount'?"),  # begins alike
            ("abut", "Error: No such command 'abut'. Did you mean 'about'?"),  # one that is not in the table
            ("secre", "Error: No such command 'secre'."),  # hidden
            ("zzz", "Error: No such command 'zzz'."),
            ("/host", "Error: No such command '/host'."),  # no option either
        ],
    )
    def test_an_unknown_command_is_a_usage_error(self, group: LazyGroup, word: str, expected: str) -> None:
        """With code 2, the near names, and no import."""
        result = CliRunner().invoke(group, [word])

        assert result.exit_code == 2
        assert expected == result.output.splitlines()[-1]
        assert "Usage: meter [OPTIONS] COMMAND [ARGS]..." in result.output
        assert not imported()

    def test_near_names_are_listed_nearest_first(self) -> None:
        """As in diagnostics."""
        table = {name: Entry("a:b", "") for name in ("mounts", "umount", "amount", "list")}

        output = CliRunner().invoke(LazyGroup("meter", lazy=table), ["mount"]).output

        assert "Did you mean 'umount' or 'mounts' or 'amount'?" in output

    @pytest.mark.parametrize("words", [["check", "--stric"], ["--hepl"]])
    def test_an_unknown_option_is_a_usage_error(self, group: LazyGroup, words: list[str]) -> None:
        """Click suggests the near ones, those of the group too."""
        result = CliRunner().invoke(group, words)

        assert result.exit_code == 2
        assert {"--stric": "--strict", "--hepl": "--help"}[words[-1]] in result.output.splitlines()[-1]

    def test_hidden_and_usual_commands_can_be_called(self, group: LazyGroup) -> None:
        """Hiding is for lists only."""
        assert CliRunner().invoke(group, ["secret"]).output == "check False\n"
        assert CliRunner().invoke(group, ["about"]).output == "about\n"

    def test_names_can_be_normalised(self, group: LazyGroup) -> None:
        """By click's `token_normalize_func`, as in its own groups."""
        group.context_settings["token_normalize_func"] = str.lower

        assert CliRunner().invoke(group, ["CHECK"]).output == "check False\n"

    def test_a_module_that_cannot_be_imported_is_a_bug(self, group: LazyGroup) -> None:
        """It surfaces, and is no unknown command."""
        with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
            CliRunner().invoke(group, ["broken"], catch_exceptions=False)

    @pytest.mark.parametrize(
        ("words", "incomplete", "expected"),
        [
            ([], "", ["mount", "check", "broken", "about"]),
            ([], "ch", ["check"]),
            ([], "--h", ["--help"]),
        ],
    )
    def test_completion_imports_nothing(
        self, group: LazyGroup, words: list[str], incomplete: str, expected: list[str]
    ) -> None:
        """Names and their help come from the table."""
        found = ShellComplete(group, {}, "meter", "_METER_COMPLETE").get_completions(words, incomplete)

        assert expected == [item.value for item in found]
        assert not imported()

    def test_completion_of_options_imports_their_command(self, group: LazyGroup) -> None:
        """And no other."""
        found = ShellComplete(group, {}, "meter", "_METER_COMPLETE").get_completions(["check"], "--s")

        assert [item.value for item in found] == ["--strict"]
        assert [f"{PACKAGE}.check"] == imported()
