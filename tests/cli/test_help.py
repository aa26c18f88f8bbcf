"""Helps and hints of the command line: in a narrow terminal, for a misspelt option, and how meter is called."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from meter.cli import common
from meter.cli.main import group
from meter.contracts.host import command, permanent
from meter.core import host
from meter.core.record import FORMAT, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Sandbox

GROUPS = {"plugin": ["list", "info", "check", "schema"]}


def commands() -> Iterator[list[str]]:
    """The words of meter, of each of its commands and of those below it."""
    yield []
    for name in group.list_commands(click.Context(group)):
        yield [name]
        yield from ([name, each] for each in GROUPS.get(name, ()))


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_help_has_the_columns_of_the_terminal(words: list[str], columns: int) -> None:
    """No line is longer."""
    result = CliRunner().invoke(group, [*words, "--help"], env={"COLUMNS": str(columns)})
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= columns


def test_what_has_no_room_beside_a_long_option_stands_below() -> None:
    """And not a word a line; beside the short names of commands there is room."""
    check, meter = (
        CliRunner().invoke(group, words, env={"COLUMNS": "40"}).output for words in (["check", "--help"], ["--help"])
    )
    assert "\n  --format [text|json|github|sarif]\n      Form of output.  [default: text]\n" in check
    assert "\n  run      Run mounted backends until\n           stopped\n" in meter


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["exec", "--wrong"], "No such option '--wrong'."),
        (["exec", "--fromat"], "No such option '--fromat'. Did you mean '--format'?"),
        (["check", "--lock"], "No such option '--lock'. Did you mean '--locked'?"),
        (["remount"], "No such command 'remount'. Did you mean 'mount' or 'umount'?"),
        (["plugin", "--strange"], "No such option '--strange'."),
        (["explain", "E-HSOT"], "No such code 'E-HSOT'. Did you mean 'E-HOST'? They are in the contract reference."),
        (
            ["explain", "W-DRIFF"],
            "Did you mean 'E-DRIFT' or 'W-DRIFT'? They are in the contract reference.",
        ),
    ],
)
def test_only_what_is_near_is_suggested(sandbox: Sandbox, words: list[str], told: str) -> None:
    """The dashes that all options have, and the first letter of all codes, make nothing near."""
    done = sandbox.meter(*words)
    assert done.code == 2
    assert done.errors.splitlines()[-1].removeprefix("Error: ").endswith(told)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--interval", "An option of a plugin is written interval=VALUE, behind the plugin."),
        ("--durabilty", "Error: No such option '--durabilty'. Did you mean '--durability'?"),
    ],
)
def test_an_option_of_a_plugin_is_told_where_none_of_meter_is_near(sandbox: Sandbox, option: str, told: str) -> None:
    """Of two hints one would be wrong."""
    done = sandbox.meter("mount", "/host", "cpu", option, "1s")
    assert done.errors.splitlines()[-1] == told


RIGHT = "unprivileged CAP_PERFMON"


@pytest.mark.parametrize("by_path", [True, False], ids=["by its path", "as a module"])
def test_commands_call_meter_as_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_path: bool
) -> None:
    """With an absolute path, as sudo looks elsewhere, and quoted, also where no path of a shell has it."""
    folder = tmp_path / "with blank"
    script = folder / ("meter" if by_path else "__main__.py")
    folder.mkdir()
    script.write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [os.path.relpath(script), "doctor"])
    own = [str(script)] if by_path else [sys.executable, "-m", "meter"]
    words = shlex.split(common.called(command("denied /proc/1/io")))
    assert words == ["sudo", *own, "run"]
    assert shlex.split(common.called(command(RIGHT)).partition(" -- ")[2]) == [*own, "run"]
    assert shlex.split(common.called(permanent(RIGHT)), comments=True) == [
        *("sudo", "setcap", "cap_perfmon+ep", os.path.realpath(sys.executable))
    ]


@pytest.mark.parametrize("has_pip", [True, False])
def test_what_is_installed_is_installed_beside_meter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_pip: bool
) -> None:
    """By the pip of its environment, else by another one for it: that on the path may be of another Python."""
    (tmp_path / "meter").touch()
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "meter")])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if has_pip else None)
    pip = [sys.executable, "-m", "pip"] if has_pip else ["python3", "-m", "pip", "--python", sys.executable]
    assert shlex.split(common.called(command("uninstalled rich>=13"))) == [*pip, "install", "rich>=13"]
    assert common.called("install it: `pip install rich`; or") == f"install it: `{shlex.join(pip)} install rich`; or"
    assert common.called("`x -m pip install rich`") == "`x -m pip install rich`"


def test_commands_of_a_program_that_is_no_file_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `python -c` is: there is nothing to call."""
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert common.called(command(RIGHT)) == command(RIGHT)


@pytest.mark.parametrize("format_", ["text", "json", "github", "sarif"])
def test_a_check_of_this_host_calls_it_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, format_: str
) -> None:
    """In each form; the commands for another host are those of any meter on its path."""
    (tmp_path / "meter").touch()
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "meter")])
    monkeypatch.setitem(host._QUESTIONS, "readable", lambda _, argument: f"denied {argument}")
    monkeypatch.chdir(sandbox.folder)
    (sandbox.folder / "meter.toml").write_text('[mounts."/host"]\nplugins = ["cpu", "console"]\n')
    result = CliRunner().invoke(group, ["check", "--format", format_])
    assert f"sudo {tmp_path}/meter run" in result.output
    document = {"format": FORMAT, "facts": to_json({("readable", "/proc/stat"): "denied /proc/stat"})}
    (sandbox.folder / "host.json").write_text(json.dumps(document))
    result = CliRunner().invoke(group, ["check", "--host", "host.json", "--format", format_])
    assert "command -v meter" in result.output


def test_a_doctor_calls_it_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its page and in its document."""
    (tmp_path / "meter").touch()
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "meter")])
    monkeypatch.setitem(host._QUESTIONS, "readable", lambda _, argument: f"denied {argument}")
    monkeypatch.chdir(tmp_path)
    for words in (["doctor"], ["doctor", "--format", "json"]):
        output = CliRunner().invoke(group, words).output
        assert f"sudo {tmp_path}/meter run" in output
        assert "command -v meter" not in output
