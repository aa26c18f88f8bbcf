"""`check_config`: a plugin's own code refuses or completes its configuration when it is mounted, and at each start."""

from __future__ import annotations

import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Sandbox

CONTRACT = """
name = "tuned"
version = "1.0.0"
placement = "source"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
exports = { plugin = "plugin:Plugin", check_config = "plugin:check_config" }
[[provides.metrics]]
name = "tuned.value"
type = "f64"
unit = "1"
kind = "gauge"
resource = ["machine"]
[config.rate]
type = "quantity(Hz)"
default = "100 Hz"
max = "1 kHz"
[config.window]
type = "duration"
default = "1s"
[config.names]
type = "list<str>"
default = []
[config.token]
type = "secret"
default = "env:HOME"
[config.log]
type = "path"
default = "log"
"""
HEAD = """
import pathlib
from meter.core.plugin import Source
pathlib.Path("imported").touch()

class Plugin(Source):
    def poll(self, out):
        out.emit("tuned.value", 1.0)

def check_config(config):
"""
COMPLETES = """
    if not config["names"]:
        config["names"] = ("a", "b")
        config["window"] = 2_500_000_000
        return config
"""


class World:
    """A sandbox with the plugin, installed as a distribution or in a plugin folder."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.folder = sandbox.folder

    def code(self, body: str, *, installed: bool = True) -> None:
        """Write the plugin, with the body of its function."""
        site = self.folder / ("site" if installed else "plugins")
        place = site / "tuned"
        place.mkdir(parents=True, exist_ok=True)
        (place / "contract.toml").write_text(CONTRACT)
        (place / "plugin.py").write_text(HEAD + body)
        if installed:
            (site / "tuned-1.0.dist-info").mkdir(exist_ok=True)
            (site / "tuned-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tuned\nVersion: 1.0\n")
            (site / "tuned-1.0.dist-info" / "entry_points.txt").write_text("[meter.plugins]\ntuned = tuned\n")
            self.sandbox.environment["PYTHONPATH"] = str(site)
        else:
            self.sandbox.environment["METER_PLUGIN_DIR"] = "plugins"

    def mount(self, *words: str) -> Any:
        """`meter mount /t tuned … collect`, and what it says."""
        return self.sandbox.meter("mount", "/t", "tuned", "interval=20ms", *words, "csv", "path=out.csv")

    def config(self) -> dict[str, Any]:
        """The options of the plugin in the mount file."""
        table: dict[str, Any] = tomllib.loads((self.folder / "meter.toml").read_text())["mounts"]["/t"]["config"][
            "tuned"
        ]
        return table


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    """A sandbox for the plugin."""
    return World(sandbox)


def test_a_mount_writes_what_is_completed(world: World) -> None:
    """Into the mount file, with the plan; it is said, explained with its place, and a start finds nothing to change."""
    world.code(COMPLETES)
    done = world.mount().ok()
    assert '`tuned` has completed its configuration: names = ["a", "b"]' in done.errors
    assert world.config() == {"interval": "20ms", "names": ["a", "b"], "window": "2.5s"}
    text = (world.folder / "meter.toml").read_text()
    assert 'window = "2.5s" # completed by the plugin' in text
    line = 1 + text.split("\n").index('window = "2.5s" # completed by the plugin')
    told = f'window = "2.5s"  (completed by the plugin itself, meter.toml:{line})'
    assert told in world.sandbox.meter("explain", "/t", "tuned").ok().out
    assert world.sandbox.meter("run", "/t", "--locked", "--for", "100ms").ok()
    assert world.sandbox.rows("out.csv")

    (world.folder / "site" / "tuned" / "contract.toml").write_text(CONTRACT + "\n# touched\n")
    assert world.sandbox.meter("run", "/t", "--for", "50ms").ok()  # checked anew
    assert told in world.sandbox.meter("explain", "/t", "tuned").ok().out
    assert world.sandbox.meter("mount", "/t").ok().errors == ""


def test_what_was_edited_by_hand_is_completed_by_the_next_mount(world: World) -> None:
    """Comments and everything else stay; a start before that refuses and says what it would be."""
    world.code(COMPLETES)
    world.mount().ok()
    path = world.folder / "meter.toml"
    before = path.read_text().replace('names = ["a", "b"] # completed by the plugin\n', "# mine\n")
    path.write_text(before)

    done = world.sandbox.meter("run", "/t", "--for", "50ms")
    assert (done.code, done.codes[0]) == (5, "E-CONFIG-REFUSED")
    assert '`tuned` would complete its configuration: names = ["a", "b"]' in done.errors
    assert "meter mount /t" in done.errors

    done = world.sandbox.meter("mount", "/t").ok()
    assert 'names = ["a", "b"]' in done.errors
    after = path.read_text()
    assert "# mine" in after
    assert world.config()["names"] == ["a", "b"]
    assert world.sandbox.meter("check", "--locked").ok()
    assert world.sandbox.meter("run", "/t", "--locked", "--for", "50ms").ok()


@pytest.mark.parametrize(
    "text",
    [
        '[mounts."/t"]\nplugins = ["tuned", "csv"]\nconfig = { csv = { path = "o" }, tuned = { interval = "1s" } }\n',
        '[mounts."/t"]\nplugins = ["tuned", "csv"]\nconfig.csv.path = "o"\nconfig.tuned.interval = "1s"\n',
        'mounts = { "/t" = { plugins = ["tuned", "csv"], config = { csv = { path = "o" } } } }\n',
        (
            '[mounts."/t".config.tuned]\ninterval = "1s"\n'
            '[mounts."/u"]\nplugins = ["cpu", "csv"]\nconfig.csv.path = "p"\n'
            '[mounts."/t"]\nplugins = ["tuned", "csv"]\n[mounts."/t".config.csv]\npath = "o"\n'
        ),
    ],
)
def test_any_spelling_of_a_mount_file_is_completed(world: World, text: str) -> None:
    """The other values are what they were."""
    world.code(COMPLETES)
    (world.folder / "meter.toml").write_text(text)
    world.sandbox.meter("mount", "/t").ok()
    wanted = tomllib.loads(text)
    wanted["mounts"]["/t"]["config"].setdefault("tuned", {}).update(names=["a", "b"], window="2.5s")
    assert tomllib.loads((world.folder / "meter.toml").read_text()) == wanted


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (
            "    raise ValueError('no such\\n  probe')\n",
            "E-CONFIG-REFUSED",
            "`tuned` refuses its configuration: no such probe",
        ),
        ("    raise ValueError\n", "E-CONFIG-REFUSED", "`tuned` refuses its configuration: ValueError"),
        ("    return {'rate': 1e6}\n", "E-EXPORT-MISMATCH", 'gives "1000000 Hz" for the option `rate`'),
        ("    return {'rate': '5 W'}\n", "E-EXPORT-MISMATCH", "`rate`, which is not what the contract says"),
        ("    return {'window': None}\n", "E-EXPORT-MISMATCH", "gives `None` for the option `window`"),
        ("    return {'token': 'hunter2'}\n", "E-EXPORT-MISMATCH", "gives a text for the option `token`"),
        (
            "    return {'wnidow': 1}\n",
            "E-EXPORT-MISMATCH",
            "gives the option `wnidow`, which the contract does not have",
        ),
        ("    return [config]\n", "E-EXPORT-MISMATCH", "of the Python type list"),
        (
            "    return {'names': [*config['names'], 'x']}\n",
            "E-EXPORT-MISMATCH",
            "changes the option `names` of what it",
        ),
        (
            "    return 1 / 0\n",
            "E-PLUGIN-RAISED",
            "failed in `check_config`: ZeroDivisionError: division by zero (plugin.py:",
        ),
        ("    raise SystemExit(3)\n", "E-PLUGIN-RAISED", "failed in `check_config`: SystemExit: 3"),
    ],
)
def test_what_is_refused(world: World, body: str, code: str, message: str) -> None:
    """The instance and the export are shown, nothing is written."""
    world.code(body)
    done = world.mount()
    assert (done.code, done.codes) == (1, [code])
    assert message in " ".join(done.errors.split())
    assert "site/tuned/contract.toml" in done.errors
    assert not (world.folder / "meter.toml").exists()
    assert "hunter2" not in done.errors


def test_a_missing_function_is_said(world: World) -> None:
    """At the export."""
    world.code("    pass\n")
    path = world.folder / "site" / "tuned" / "plugin.py"
    path.write_text(path.read_text().replace("def check_config", "def check"))
    assert world.mount().codes == ["E-EXPORT-MISSING"]


def test_what_is_completed_is_checked(world: World) -> None:
    """A constraint that it does not keep refuses the mount, and the notes say whose value it is."""
    world.code(COMPLETES)
    path = world.folder / "site" / "tuned" / "contract.toml"
    path.write_text(CONTRACT.replace("[[provides", 'require = ["count(config.names) <= 1"]\n[[provides', 1))
    done = world.mount()
    assert done.codes == ["E-CONSTRAINT"]
    assert '`tuned` has completed its configuration: names = ["a", "b"]' in " ".join(done.errors.split())
    assert not (world.folder / "meter.toml").exists()


def test_it_sees_its_configuration_as_the_plan_has_it(world: World) -> None:
    """Canonical values, no secret, paths as they were written; what it does to them changes nothing."""
    world.code("    pathlib.Path('seen').write_text(repr(config)); config['names'].append('x')\n")
    world.mount().ok()
    assert (world.folder / "seen").read_text() == repr(
        {"interval": 20_000_000, "log": "log", "names": [], "rate": 100.0, "token": "env:HOME", "window": 10**9}
    )
    assert world.config() == {"interval": "20ms"}


def test_a_plugin_folder_is_run_at_the_start_first(world: World) -> None:
    """Mounting runs none of its code; the start refuses what would be completed."""
    world.code(COMPLETES, installed=False)
    world.mount().ok()
    assert not (world.folder / "imported").exists()
    assert world.config() == {"interval": "20ms"}
    done = world.sandbox.meter("run", "/t", "--for", "50ms")
    assert (done.code, done.codes[0]) == (5, "E-CONFIG-REFUSED")
    assert (world.folder / "imported").exists()
    world.sandbox.meter("umount", "/t").ok()
    world.mount("names=a", "names=b").ok()
    assert world.sandbox.meter("run", "/t", "--for", "50ms").ok()


@pytest.mark.parametrize("installed", [True, False])
def test_a_check_runs_none_of_its_code(world: World, installed: bool) -> None:  # noqa: FBT001  (a column of a table)
    """However it came to this host."""
    world.code(COMPLETES, installed=installed)
    (world.folder / "meter.toml").write_text('[mounts."/t"]\nplugins = ["tuned", "csv"]\nconfig.csv.path = "o"\n')
    for words in (("check",), ("explain",), ("plugin", "list"), ("plugin", "info", "tuned"), ("doctor",), ("graph",)):
        world.sandbox.meter(*words).ok()
    assert not (world.folder / "imported").exists()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("    raise ValueError('not today')\n", "E-CONFIG-REFUSED"),
        ("    return 3\n", "E-EXPORT-MISMATCH"),
        ("    return {'x': 1}\n", "E-EXPORT-MISMATCH"),
        ("    return 1 / 0\n", "E-PLUGIN-RAISED"),
    ],
)
def test_a_start_asks_again(world: World, body: str, code: str) -> None:
    """What the code says may depend on more than the configuration; the others go on."""
    world.code("    pass\n")
    world.mount().ok()
    world.code(body)
    done = world.sandbox.meter("run", "/t", "--for", "50ms")
    assert (done.code, done.codes[0]) == (5, code)


def test_backends_in_python_are_completed(world: World) -> None:
    """With a mount file and without; a script that is run again finds what it has recorded."""
    world.code(COMPLETES)
    script = """
from meter.core import Backend
def backend(**more):
    return Backend("/t", **more).add("tuned", interval="20ms").add("collect")
with backend().mounted().running() as run:
    pass
print(run.plan.document["plugins"][0]["config"]["names"])
for _ in range(2):
    print(backend(file="meter.toml").mounted().plan.document["plugins"][0]["origins"]["names"])
"""
    (world.folder / "run.py").write_text(script)
    done = world.sandbox.shell(f"{sys.executable} run.py")
    assert done.ok().out.splitlines() == ["['a', 'b']", "check_config", "check_config"]
    assert world.config()["window"] == "2.5s"
