"""Secrets: the plugin gets them, and no file, no output and no message of meter has them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Done, Sandbox

WORD = "correct horse@battery"
ENCODED = "correct%20horse%40battery"
CONTRACT = """
name = "push"
version = "1.0.0"
placement = "output"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[config.token]
type = "secret"
[config.headers]
type = "map<secret>"
default = {}
[config.url]
type = "url"
default = "http://localhost"
[config.got]
type = "path"
"""
CODE = """
import pathlib
from meter.core.plugin import Output

class Plugin(Output):
    def start(self, context):
        config = self.config
        got = [config["token"], config["url"], *config["headers"].values()]
        pathlib.Path(config["got"]).write_text("|".join(got) + "|" + repr(dict(config)))

    def write(self, batch):
        raise RuntimeError(f"refused with {self.config['token']} at {self.config['url']}")
"""


@pytest.fixture
def push(sandbox: Sandbox) -> Sandbox:
    """A sandbox with an output that says all that it knows."""
    folder = sandbox.folder / "plugins" / "push"
    folder.mkdir(parents=True)
    (folder / "contract.toml").write_text(CONTRACT)
    (folder / "plugin.py").write_text(CODE)
    sandbox.environment |= {"METER_PLUGIN_DIR": "plugins", "PUSH_TOKEN": WORD}
    return sandbox


def mounted(push: Sandbox, *words: str) -> None:
    """Mount the output with a secret."""
    push.meter("mount", "/push", "uptime", "interval=10ms", "push", "got=got", *words).ok()


def outside(push: Sandbox, *runs: Done) -> str:
    """All that meter has written, apart from what the plugin itself has."""
    files = [path for path in push.folder.rglob("*") if path.is_file() and path.name != "got"]
    texts = [path.read_text(errors="replace") for path in files]
    return "\n".join([*texts, *(text for done in runs for text in (done.out, done.errors))])


def test_the_plugin_has_them_and_nobody_else(push: Sandbox) -> None:
    """Of the environment and of a file, alone, in a map and in a URL; its own faults are told without them."""
    (push.folder / "token").write_text("hunter2\n")
    (push.folder / "token").chmod(0o600)
    url = "url=https://me:${env.PUSH_TOKEN}@localhost/x"
    mounted(push, "token=env:PUSH_TOKEN", "headers=Authorization=file:token", url)

    done = push.meter("run", "/push", "--for", "300ms")

    whole = f"https://me:{ENCODED}@localhost/x"
    hidden = "'token': <secret>, 'url': <secret>"
    got = (push.folder / "got").read_text()
    assert got.startswith(f"{WORD}|{whole}|hunter2|")
    assert hidden in got
    assert done.code == 5
    assert "refused with … at https://me:…@local" in done.errors
    (push.folder / "token").unlink()
    json = ("--format", "json")
    commands: list[tuple[str, ...]] = [
        ("explain", "/push"), ("explain", "/push", *json), ("check", *json), ("plugin", "info", "push"), ("mount",),
    ]  # fmt: skip
    shown = [push.meter(*words) for words in commands]
    text = outside(push, done, *shown)
    assert [word for word in (WORD, ENCODED, "hunter2", whole) if word in text] == []
    assert 'token = "env:PUSH_TOKEN"' in shown[0].out


@pytest.mark.parametrize("words", [("token=hunter2",), ("token=env:PUSH_TOKEN", "url=https://me:hunter2@localhost")])
def test_one_that_is_written_out_is_refused_and_not_shown(push: Sandbox, words: tuple[str, ...]) -> None:
    """On the command line and in the mount file, whatever else is wrong in that line."""
    done = push.meter("mount", "/push", "uptime", "push", "got=got", *words)
    assert done.code == 1
    assert done.codes == ["E-CONFIG-TYPE"]
    config = ", ".join(f'{name} = "{value}"' for name, _, value in (word.partition("=") for word in words))
    text = f'[mounts."/push"]\nplugins = ["uptime", "push"]\nconfig.push = {{ {config}, got = 3 }}\n'
    (push.folder / "meter.toml").write_text(text)
    checks = [
        push.meter("check", *more) for more in ((), *(("--format", form) for form in ("json", "github", "sarif")))
    ]
    assert [check.code for check in checks] == [1] * 4
    assert checks[0].codes == ["E-CONFIG-TYPE"] * 2
    assert "meter.toml:3:" in checks[0].errors
    (push.folder / "meter.toml").unlink()
    assert "hunter2" not in outside(push, done, *checks)


def test_a_misspelt_option_is_mended_and_its_line_not_shown(push: Sandbox) -> None:
    """What stands behind it is refused then, being no reference."""
    text = (
        '[mounts."/push"]\nplugins = ["uptime", "push"]\n[mounts."/push".config.push]\ngot = "got"\ntokn = "hunter2"\n'
    )
    (push.folder / "meter.toml").write_text(text)
    done = push.meter("check", "--fix")
    assert 'token = "hunter2"' in (push.folder / "meter.toml").read_text()
    assert "meter.toml:5: write `token` instead of `tokn`\n  - tokn = …\n  + token = …\n" in done.out
    assert done.codes == ["E-CONFIG-TYPE"]
    assert "hunter2" not in done.out + done.errors


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (
            '[mounts."/push"]\nplugins = ["uptime", "push"]\nconfig.psuh = { got = "got", token = "hunter2" }\n',
            ["- config.psuh = { got = …, token = … }", "+ config.push = { got = …, token = … }"],
        ),
        (
            'mounts = { "/push" = { plugins = ["uptme", "push"], config = { push = { got = "g", tkn = "hunter2" }}}}\n',
            ['plugins = ["uptime", "push"], config = { push = { got = …, tkn = … }}}}'],
        ),
        (
            (
                '[mounts."/push"]\nplugins = ["uptime", "push"]\nconfig.push.token = "env:PUSH_TOKEN"\n'
                "config.push.got = 'got'\nconfig.push.header = { Authorization = '''\nhunter2''' }\n"
            ),
            ["- config.push.header = { Authorization = …", "+ config.push.headers = { Authorization = …"],
        ),
    ],
    ids=["label", "one line", "several lines"],
)
def test_what_is_mended_beside_one_is_shown_without_it(push: Sandbox, text: str, changed: list[str]) -> None:
    """Whatever name is mended in its line, and whatever else is found."""
    for form in ("text", "json", "github", "sarif"):
        (push.folder / "meter.toml").write_text(text)
        before = push.meter("check", "--format", form)
        done = push.meter("check", "--fix", "--format", form)

        assert [line for line in changed if line not in done.out] == [] or form != "text", done.out
        assert "hunter2" not in before.out + before.errors + done.out + done.errors


def test_one_that_is_gone_at_the_start_is_told(push: Sandbox) -> None:
    """A backend in Python is started without a check of the lock; the others go on."""
    script = """
import os
from meter.core import Backend, RunError
backend = Backend("/push", plugin_dirs=["plugins"]).add("uptime", interval="10ms").add("collect")
ready = backend.add("push", token="env:PUSH_TOKEN", got="got").mounted()
del os.environ["PUSH_TOKEN"]
try:
    with ready.running() as run:
        pass
except RunError as error:
    print(error)
print(len(run.take()) > 0)
"""
    (push.folder / "run.py").write_text(script)
    done = push.shell(f"{sys.executable} run.py")
    assert "`push` cannot work on this host: the environment variable `PUSH_TOKEN` is not set" in done.out
    assert done.out.endswith("True\n")


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "does not exist"), (b"\xff", "holds no secret"), (b"x" * 70000, "holds no secret")],
)
def test_a_file_that_holds_none(push: Sandbox, content: bytes | None, why: str) -> None:
    """It is named; what cannot be read is found by the check, what it holds when it is read."""
    if content is not None:
        (push.folder / "token").write_bytes(content)
        mounted(push, "token=file:token")
        done = push.meter("run", "/push", "--for", "100ms")
        assert done.code == 5
        assert done.codes[0] == "E-HOST"
    else:
        done = push.meter("mount", "/push", "uptime", "push", "got=got", "token=file:token")
        assert done.codes == ["E-PATH"]
    assert f"`{push.folder}/token` {why}" in " ".join(done.errors.split())  # however long the path is
