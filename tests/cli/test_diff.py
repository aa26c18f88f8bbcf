"""`meter diff`: what has changed, which version step it owes, and whether the version says so."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from meter.contracts.replacement import rulebook
from tests.cli.conftest import SOURCE, Sandbox

IDENTITY = ("-c", "user.name=a test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")


def write(sandbox: Sandbox, folder: str, name: str = "mine", **changes: str) -> Path:
    """A contract below a folder, with texts of it replaced."""
    text = SOURCE.format(name=name)
    texts = {"version": "1.0.0", "unit": 'unit = "1"', "status": '["example"]'}
    for what, new in changes.items():
        assert texts[what] in text
        text = text.replace(texts[what], new, 1)
    path = sandbox.folder / folder / name / "contract.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def git(sandbox: Sandbox, *words: str) -> None:
    """Run git in the folder."""
    done = sandbox.shell("git " + " ".join(f"'{word}'" for word in (*IDENTITY, *words)))
    assert done.code == 0, done.errors


@pytest.mark.parametrize(
    ("changes", "version", "code", "head"),
    [
        ({}, "1.0.0", 0, "1 plugin unchanged"),
        ({}, "1.0.1", 0, "mine 1.0.0 -> 1.0.1: no changes"),
        ({"status": '["tested"]'}, "1.1.0", 0, "mine 1.0.0 -> 1.1.0: subtype, minor step owed, minor taken"),
        (
            {"status": '["tested"]'},
            "1.0.1",
            1,
            "mine 1.0.0 -> 1.0.1: subtype, minor step owed, patch taken; take 1.1.0",
        ),
        ({"unit": 'unit = "s"'}, "2.0.0", 0, "mine 1.0.0 -> 2.0.0: breaking, major step owed, major taken"),
        ({"unit": 'unit = "s"'}, "1.1.0", 1, "mine 1.0.0 -> 1.1.0: breaking, major step owed, minor taken; take 2.0.0"),
        ({"unit": 'unit = "s"'}, "1.0.0", 1, "mine 1.0.0: breaking, major step owed, none taken; take 2.0.0"),
        ({}, "0.9.0", 1, "mine 1.0.0 -> 0.9.0: no changes"),
    ],
)
def test_the_step_decides(sandbox: Sandbox, changes: dict[str, str], version: str, code: int, head: str) -> None:
    """Exit 0 where the version says at least what has changed, 1 where it does not, with the version to take."""
    write(sandbox, "old")
    write(sandbox, "new", version=version, **changes)
    done = sandbox.meter("diff", "old", "new")

    assert done.code == code
    assert done.out.splitlines()[0] == head
    assert done.codes == (["E-VERSION-STEP"] if code else [])
    if code and "take" in head:
        assert f'version = "{head.rpartition(" ")[2]}"' in done.errors
        assert done.places[0].startswith("new/mine/contract.toml:4:")


def test_each_change_has_its_rule_and_both_places(sandbox: Sandbox) -> None:
    """The rule's name and class, what it says, where it stood and where it stands."""
    write(sandbox, "old")
    write(sandbox, "new", unit='# a comment\nunit = "s"', version="2.0.0")
    done = sandbox.meter("diff", "old/mine", "new/mine/contract.toml").ok()

    assert done.out.splitlines()[1:] == [
        "  breaking: unit-changed (provides.metrics.unit)",
        "    `test.mine` is in `s`; it was in `1`",
        "    old/mine/contract.toml:15 -> new/mine/contract.toml:16",
    ]


def test_plugins_that_come_and_go(sandbox: Sandbox) -> None:
    """A plugin more is nobody's trouble, one that is gone breaks whoever has mounted it."""
    write(sandbox, "old")
    write(sandbox, "old", "gone")
    write(sandbox, "new")
    write(sandbox, "new", "come")
    done = sandbox.meter("diff", "old", "new")

    assert done.code == 1
    assert done.out.splitlines() == [
        "come 1.0.0: new",
        "gone 1.0.0: gone, which is breaking",
        "1 plugin unchanged",
    ]
    assert done.codes == ["E-VERSION-STEP"]
    assert done.places == ["old/gone/contract.toml:3:8"]
    assert sandbox.meter("diff", "new", "new").ok().out == "2 plugins unchanged\n"


def test_a_renamed_plugin_alone_is_another_one(sandbox: Sandbox) -> None:
    """Two single contracts are compared whatever they are called."""
    write(sandbox, "old")
    write(sandbox, "new", "other")
    done = sandbox.meter("diff", "old/mine", "new/other")

    assert done.code == 1
    assert "breaking: name-changed (name)" in done.out


def test_scripts_and_contracts_for_another_interface(sandbox: Sandbox) -> None:
    """A single file has a contract, too; what this meter could not run is compared all the same."""
    for folder, interface in (("old", ">=1,<2"), ("new", ">=2,<3")):
        (sandbox.folder / folder).mkdir()
        lines = SOURCE.format(name="mine").replace(">=1,<2", interface).strip().splitlines()
        block = "\n".join(["# /// meter", *(f"# {line}".rstrip() for line in lines), "# ///"])
        (sandbox.folder / folder / "mine.py").write_text(f"import os\n\n{block}\n")
    done = sandbox.meter("diff", "old", "new")

    assert done.code == 1
    assert "breaking: interface-narrowed (interface)" in done.out
    assert "old/mine.py:7 -> new/mine.py:7" in done.out


@pytest.fixture
def repository(sandbox: Sandbox) -> Sandbox:
    """A repository with a commit, behind which the working folder has changed."""
    write(sandbox, "plugins")
    write(sandbox, "plugins", "other")
    (sandbox.folder / "plugins" / "single.py").write_text("no contract\n")
    (sandbox.folder / "empty").mkdir()
    (sandbox.folder / "empty" / "file").touch()
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "first"), ("tag", "v1")):
        git(sandbox, *words)
    write(sandbox, "plugins", unit='unit = "s"')
    return sandbox


class TestGit:
    """A side may be what git has at a path of a revision."""

    @pytest.mark.parametrize("revision", ["HEAD", "main", "v1", "main@{0}"])
    def test_any_revision(self, repository: Sandbox, revision: str) -> None:
        """Branches, tags and whatever else git understands; nothing in the folder is touched."""
        before = sorted(path for path in repository.folder.rglob("*") if ".git" not in path.parts)
        done = repository.meter("diff", f"{revision}:plugins", "plugins")

        assert done.code == 1
        assert f"{revision}:plugins/mine/contract.toml:15 -> plugins/mine/contract.toml:15" in done.out
        assert "1 plugin unchanged" in done.out
        assert done.places == ["plugins/mine/contract.toml:4:11"]
        assert sorted(path for path in repository.folder.rglob("*") if ".git" not in path.parts) == before

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("HEAD:plugins/mine", "plugins/mine"),
            ("HEAD:plugins/mine/contract.toml", "plugins/mine/contract.toml"),
            ("plugins/mine", "HEAD:plugins/mine/"),
            ("HEAD:./plugins", "plugins"),
        ],
    )
    def test_files_and_folders_on_either_side(self, repository: Sandbox, old: str, new: str) -> None:
        """As on disk."""
        assert "breaking: unit-changed" in repository.meter("diff", old, new).out

    def test_a_path_counts_from_the_top_or_from_here(self, repository: Sandbox) -> None:
        """As git counts: `./` from the working folder."""
        inside = repository.folder / "plugins"
        assert "unit-changed" in repository.meter("diff", "HEAD:plugins", ".", folder=inside).out
        assert "unit-changed" in repository.meter("diff", "HEAD:./mine", "mine", folder=inside).out

    def test_the_same_revision_twice(self, repository: Sandbox) -> None:
        """Nothing has changed."""
        assert repository.meter("diff", "HEAD:plugins", "main:plugins").ok().out == "2 plugins unchanged\n"

    @pytest.mark.parametrize(
        ("word", "code", "said"),
        [
            ("nowhere:plugins", "E-FILE", "git knows no revision `nowhere`"),
            (":plugins", "E-FILE", "git knows no revision ``"),
            ("--help:plugins", "E-FILE", "git knows no revision `--help`"),
            ("HEAD:nothing", "E-FILE", "`HEAD` has no `nothing`"),
            ("HEAD:../plugins", "E-FILE", "`HEAD` has no `../plugins`"),
            ("HEAD:empty", "E-CONTRACT-MISSING", "`HEAD:empty` holds no contract"),
            ("HEAD:plugins/single.py", "E-CONTRACT-MISSING", "HEAD:plugins/single.py"),
            ("nothing", "E-FILE", "no such file or folder"),
        ],
    )
    def test_what_cannot_be_read_is_said(self, repository: Sandbox, word: str, code: str, said: str) -> None:
        """On either side, with exit 5 for what is no file; no plugin of the other side is said to be gone."""
        for words in ((word, "plugins"), ("plugins", word)):
            done = repository.meter("diff", "--", *words)
            assert done.code == 5
            assert done.codes == [code]
            assert said in " ".join(done.errors.split())
            assert "Traceback" not in done.errors

    def test_without_a_repository(self, sandbox: Sandbox) -> None:
        """A path with a colon that is not there."""
        write(sandbox, "plugins")
        done = sandbox.meter(
            "diff", "HEAD:plugins", "plugins", env={"GIT_CEILING_DIRECTORIES": str(sandbox.folder.parent)}
        )

        assert (done.code, done.codes) == (5, ["E-FILE"])
        assert "in no repository of git" in " ".join(done.errors.split())

    def test_without_git(self, sandbox: Sandbox, tmp_path: Path) -> None:
        """Files and folders need none."""
        write(sandbox, "plugins")
        (tmp_path / "bin").mkdir()
        path = {"PATH": str(tmp_path / "bin")}
        done = sandbox.meter("diff", "HEAD:plugins", "plugins", env=path)

        assert (done.code, done.codes) == (5, ["E-FILE"])
        assert "no git that could know" in " ".join(done.errors.split())
        assert sandbox.meter("diff", "plugins", "plugins", env=path).code == 0

    def test_what_is_there_as_a_path_is_taken_as_one(self, sandbox: Sandbox) -> None:
        """A folder may have a colon in its name."""
        write(sandbox, "a:b")
        assert sandbox.meter("diff", "a:b", "a:b").ok().out == "1 plugin unchanged\n"


def test_a_broken_contract_does_not_hide_the_others(sandbox: Sandbox) -> None:
    """What can be compared is; exit 5, since not all could."""
    for folder in ("old", "new"):
        write(sandbox, folder)
        write(sandbox, folder, "other", **({"unit": 'unit = "s"'} if folder == "new" else {}))
    (sandbox.folder / "new" / "mine" / "contract.toml").write_text("name = 3")
    done = sandbox.meter("diff", "old", "new")

    assert done.code == 5
    assert "breaking: unit-changed" in done.out
    assert "E-CLAUSE-TYPE" in done.codes
    assert "mine 1.0.0: gone" not in done.out


def test_one_name_twice(sandbox: Sandbox) -> None:
    """It cannot be said which of the two is meant."""
    write(sandbox, "old")
    write(sandbox, "new")
    shutil.copytree(sandbox.folder / "new" / "mine", sandbox.folder / "new" / "again")
    done = sandbox.meter("diff", "old", "new")

    assert (done.code, done.codes) == (5, ["E-DUPLICATE"])


def test_state_that_is_lost_is_said(sandbox: Sandbox) -> None:
    """Whoever takes the new version begins anew; the exit code stays."""
    text = 'name = "f"\nversion = "{}"\nplacement = "filter"\nstate = "lost"\n[config.d]\ntype = "int"\ndefault = {}\n'
    for folder, version, default in (("old", "1.0.0", 1), ("new", "2.0.0", 2)):
        (sandbox.folder / folder / "f").mkdir(parents=True)
        (sandbox.folder / folder / "f" / "contract.toml").write_text(text.format(version, default))
    done = sandbox.meter("diff", "old", "new")

    assert (done.code, done.codes) == (0, ["W-STATE-LOST"])
    assert sandbox.meter("diff", "old", "old").ok().codes == []


def test_forms_for_machines(sandbox: Sandbox) -> None:
    """JSON has all that is known, GitHub and SARIF the findings at files that are there; stderr is empty."""
    write(sandbox, "old")
    write(sandbox, "new", unit='unit = "s"')
    done = sandbox.meter("diff", "old", "new", "--format", "json")
    assert (done.code, done.errors) == (1, "")
    document = done.json
    assert (document["format"], document["ok"], document["class"]) == ("meter-diff/1", False, "breaking")
    [plugin] = document["plugins"]
    assert {key: plugin[key] for key in ("plugin", "old", "new", "class", "owed", "taken", "enough", "version")} == {
        "plugin": "mine", "old": "1.0.0", "new": "1.0.0", "class": "breaking", "owed": "major", "taken": "none",
        "enough": False, "version": "2.0.0",
    }  # fmt: skip
    [change] = plugin["changes"]
    assert change["rule"] in rulebook.book()
    assert change["old"]["file"] == "old/mine/contract.toml"
    assert set(change) == {"rule", "class", "clause", "text", "help", "old", "new"}
    assert [each["code"] for each in document["diagnostics"]] == ["E-VERSION-STEP"]

    github = sandbox.meter("diff", "old", "new", "--format", "github")
    assert github.code == 1
    assert github.out.startswith("::error file=new/mine/contract.toml,line=4,col=11,title=E-VERSION-STEP::")
    assert "unit-changed (breaking)" in github.out
    sarif = sandbox.meter("diff", "old", "new", "--format", "sarif")
    assert [result["ruleId"] for result in json.loads(sarif.raw)["runs"][0]["results"]] == ["E-VERSION-STEP"]


def test_a_narrow_terminal_and_a_closed_pipe(sandbox: Sandbox) -> None:
    """Lines fit, and a reader that goes away is no error."""
    write(sandbox, "old")
    write(sandbox, "new", unit='unit = "s"', status='["tested"]', version="2.0.0")
    narrow = sandbox.shell(
        'script -qec "stty cols 30; $PYTHON -m meter diff old new" /dev/null', env={"PYTHON": sys.executable}
    )
    lines = narrow.out.replace("\r", "").splitlines()
    assert "  breaking: unit-changed" in lines
    assert all(len(line) <= 30 for line in lines)

    done = sandbox.shell("set -o pipefail; meter diff old new | head -n 1")
    assert done.out.splitlines() == ["mine 1.0.0 -> 2.0.0: breaking, major step owed, major taken"]
    assert done.code in (0, 141)
    assert done.errors == ""


def test_hostile_texts_do_not_steer_the_terminal(sandbox: Sandbox) -> None:
    """What comes out of a contract is shown, never obeyed."""
    write(sandbox, "old")
    path = write(sandbox, "new")
    path.write_text(path.read_text() + '[config."x\\u001b[31m"]\ntype = "str"\ndefault = "\\u001b]0;x\\u0007"\n')
    done = sandbox.meter("diff", "old", "new")

    assert "option-added" in done.out
    assert b"\x1b" not in done.raw
