"""`meter check` over a whole repository: its mount files and its plugins in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import SOURCE

if TYPE_CHECKING:
    from tests.cli.conftest import Sandbox

MOUNT = '[mounts."/{name}"]\nplugins = ["{plugin}", "csv"]\nconfig.csv.path = "{name}.csv"\n'
NEEDING = SOURCE.replace(
    "[[provides.metrics]]", '[needs]\ncapabilities = {{ "telepathy" = "*" }}\n[[provides.metrics]]'
)


def mount(sandbox: Sandbox, file: str, plugin: str = "cpu") -> None:
    """A mount file with one backend, named after the file."""
    path = sandbox.folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MOUNT.format(name=path.stem, plugin=plugin))


@pytest.fixture
def repository(sandbox: Sandbox) -> Sandbox:
    """A folder with two mount files and a plugin of its own, which one of them uses."""
    mount(sandbox, "meter.toml")
    mount(sandbox, "fleet/web.toml", "mine")
    sandbox.plugin("mine")
    return sandbox


SOUND = "fleet/web.toml /web: ok, mine -> csv\nmeter.toml /meter: ok, cpu -> csv\n1 contract: ok\n"


def test_one_call_for_a_whole_repository(repository: Sandbox) -> None:
    """Each backend with its file, and the contracts; a mount may use plugins from anywhere below the folder."""
    before = repository.files()
    assert repository.meter("check", ".").ok().out == SOUND
    assert repository.meter("check", ".", "plugins", "meter.toml", "./fleet").ok().out == SOUND, "each file once"
    assert repository.meter("check", "fleet", "plugins").ok().out == "/web: ok, mine -> csv\n1 contract: ok\n"
    assert repository.meter("check", "--strict", ".").code == 0
    assert repository.files() == before

    document = repository.meter("check", "--format", "json", ".").ok().json
    assert document["ok"] is True
    assert [(each["file"], each["mountpoint"]) for each in document["backends"]] == [
        ("fleet/web.toml", "/web"),
        ("meter.toml", "/meter"),
    ]


def test_mountpoints_files_and_folders_together(repository: Sandbox) -> None:
    """Mountpoints are those of the mount file, which `--file` names."""
    assert repository.meter("check", "/meter", "plugins").ok().out == "/meter: ok, cpu -> csv\n1 contract: ok\n"
    named = repository.meter("check", "/web", "plugins", "--file", "fleet/web.toml").ok()
    assert named.out == "/web: ok, mine -> csv\n1 contract: ok\n"
    both = repository.meter("check", "meter.toml", "plugins", "--file", "fleet/web.toml").ok()
    assert both.out == SOUND
    done = repository.meter("check", "plugins", "/metre", "nofile.toml")
    assert (done.code, sorted(done.codes)) == (5, ["E-FILE", "E-MOUNT-UNKNOWN"])
    assert any(place.startswith("<command line>:1:21") for place in done.places), "the word is pointed at"


def test_faults_of_all_are_said_once(repository: Sandbox) -> None:
    """The gravest gives the exit code, what is sound is still said; nothing is said by mount and contract."""
    mount(repository, "fleet/broken.toml", "cpuu")
    (repository.folder / "plugins" / "mine" / "contract.toml").write_text(NEEDING.format(name="mine"))
    repository.plugin("alone", contract=NEEDING.format(name="alone"))
    done = repository.meter("check", ".")
    assert done.code == 1
    assert sorted(done.codes) == ["E-NEED-UNMET", "E-NEED-UNMET", "E-PLUGIN-UNKNOWN"]
    assert "`mine` needs `telepathy`, which nothing in `/web` provides" in done.errors
    assert "`alone` needs `telepathy`, which no plugin offers" in done.errors
    assert done.out == "meter.toml /meter: ok, cpu -> csv\n1 contract: ok\n"
    github = repository.meter("check", "--format", "github", ".")
    assert github.code == 1
    lines = github.out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "::error file=plugins/alone/contract.toml",
        "::error file=fleet/broken.toml",
        "::error file=fleet/web.toml",
    ]
    sarif = repository.meter("check", "--format", "sarif", ".")
    assert sarif.code == 1
    assert len(sarif.json["runs"][0]["results"]) == 3


def test_contracts_are_compared_with_each_other(repository: Sandbox) -> None:
    """One name for two plugins of the folder, or for one of it and a built-in one."""
    repository.plugin("second", contract=SOURCE.format(name="mine"))
    repository.plugin("third", contract=SOURCE.format(name="memory"))
    done = repository.meter("check", "plugins")
    assert (done.code, done.codes) == (1, ["E-DUPLICATE", "E-DUPLICATE"])
    assert "`plugins/mine/contract.toml` and `plugins/second/contract.toml`: rename one" in " ".join(
        done.errors.split()
    )
    assert done.out == "", "none of the three is sound"


def test_strict_and_locked_hold_for_all(repository: Sandbox) -> None:
    """A warning in one contract, a stale plan of one mount file."""
    repository.meter("mount", "/meter").ok()
    (repository.folder / "meter.toml").write_text(MOUNT.format(name="meter", plugin="memory"))
    done = repository.meter("check", "--locked", ".")
    assert (done.code, done.codes) == (4, ["E-LOCK-STALE", "E-LOCK-STALE"])
    author = 'author = "A test <test@example.org>"\n'
    (repository.folder / "plugins" / "mine" / "contract.toml").write_text(
        SOURCE.format(name="mine").replace(author, "")
    )
    assert repository.meter("check", ".").ok().codes == ["W-CLAUSE-MISSING"]
    assert repository.meter("check", ".", "--strict").code == 3


def test_a_folder_with_nothing_to_check(sandbox: Sandbox) -> None:
    """To check nothing is no success."""
    (sandbox.folder / "empty").mkdir()
    done = sandbox.meter("check", "empty")
    assert (done.code, done.codes) == (1, ["E-CONTRACT-MISSING"])
    assert "neither a contract nor a mount file" in done.errors


def test_a_mount_file_that_is_no_toml_is_not_passed_over(repository: Sandbox) -> None:
    """Exit 5; what else there is, is checked."""
    (repository.folder / "fleet" / "torn.toml").write_text('[mounts."/torn"\nplugins = [')
    done = repository.meter("check", ".")
    assert (done.code, done.codes, done.out) == (5, ["E-FILE"], SOUND)
