"""Needs of the host: which questions a contract asks, and how an unmet one is told."""

from __future__ import annotations

import pytest

from meter.contracts.host import Assumed, Recorded, command, reason, remedy
from meter.contracts.host_needs import (
    carries,
    host_fault,
    host_faults,
    python_faults,
    told,
    told_of_alternatives,
    unmet,
)
from tests.contracts.build import codes, contract, faults, metric, one, output, run, shown, source

PERF = source(
    "rapl",
    more="[[needs.host]]\nreadable = ['/sys/powercap']\n"
    "[[needs.host]]\nreadable = ['/sys/perf']\ncapability = ['CAP_PERFMON']\n"
    "[needs.python]\nrich = '*'\nnumpy = '>=2,<3'\n",
)
HOLDS = {
    ("readable", "/sys/powercap"): "missing /sys/powercap",
    ("readable", "/sys/perf"): "",
    ("capability", "CAP_PERFMON"): "",
    ("python", "rich"): "",
    ("python", "numpy>=2,<3"): "",
}


SCOPE = '[config.scope]\ntype = "enum"\nvalues = ["process", "machine", "mine"]\ndefault = "process"\n'
CONDITIONAL = source(
    "events",
    more=f"{SCOPE}[[needs.host]]\nname = 'own'\nwhen = {{ scope = 'process' }}\nsysctl = {{ 'kernel.x' = '<=1' }}\n"
    "[[needs.host]]\nname = 'all'\nwhen = { scope = ['machine'] }\nsysctl = { 'kernel.x' = '<=0' }\n",
)


def paranoid(value: int) -> Recorded:
    """A host with a setting, as `CONDITIONAL` asks for it."""
    asked = {"kernel.x<=1": value <= 1, "kernel.x<=0": value <= 0}
    return Recorded({("sysctl", text): "" if holds else f"other-value {text} {value}" for text, holds in asked.items()})


def host(**answers: str) -> Recorded:
    """A host where `rapl` works, but for some answers, by what they are about."""
    names = {argument: (kind, argument) for kind, argument in HOLDS}
    short = {"powercap": "/sys/powercap", "perf": "/sys/perf", "capability": "CAP_PERFMON", "numpy": "numpy>=2,<3"}
    return Recorded(HOLDS | {names[short.get(name, name)]: answer for name, answer in answers.items()})


class TestQuestions:
    """A table holds in all its keys, one table of the alternatives is enough, every distribution is needed."""

    def test_it_works(self) -> None:
        """The second alternative holds."""
        assert carries(host(), contract(PERF))
        assert host_fault(contract(PERF), host()) == ""
        assert carries(Assumed(), contract(PERF))

    @pytest.mark.parametrize(
        ("answers", "why"),
        [
            (
                {"capability": "unprivileged CAP_PERFMON"},
                (
                    "neither of the two ways is open: `/sys/powercap` does not exist, and the process does not have "
                    "the capability CAP_PERFMON"
                ),
            ),
            (
                {"perf": "denied /sys/perf", "capability": "unprivileged CAP_PERFMON"},
                (
                    "neither of the two ways is open: `/sys/powercap` does not exist, and no permission to read "
                    "`/sys/perf` and the process does not have the capability CAP_PERFMON"
                ),
            ),
            ({"rich": "uninstalled rich"}, "the Python distribution `rich` is not installed"),
            (
                {"numpy": "other-version numpy>=2,<3 1.26.4", "rich": "uninstalled rich"},
                (
                    "the Python distribution `numpy>=2,<3` is needed, installed is 1.26.4; "
                    "the Python distribution `rich` is not installed"
                ),
            ),
        ],
    )
    def test_it_does_not(self, answers: dict[str, str], why: str) -> None:
        """Every reason is told."""
        assert not carries(host(**answers), contract(PERF))
        assert host_fault(contract(PERF), host(**answers)) == why

    def test_a_metric_has_a_table_of_its_own(self) -> None:
        """The same keys, and no alternatives."""
        more = 'host = { readable = ["/sys/a", "/sys/b"], capability = ["CAP_SYS_PTRACE"] }\n'
        clause = contract(source("probe", metric("probe.value", more=more))).provides.metrics[0]
        answers = {("readable", "/sys/a"): "", ("readable", "/sys/b"): "denied /sys/b"}
        assert clause.host is not None
        assert unmet(clause.host, Recorded(answers)) == ["denied /sys/b", "unrecorded CAP_SYS_PTRACE"]
        assert unmet(clause.host, Assumed()) == []


class TestTold:
    """What mends an answer is a command where one is sure to."""

    @pytest.mark.parametrize(
        ("answer", "wanted"),
        [
            ("denied /sys/a b", "sudo chmod a+r '/sys/a b'"),
            ("denied /sys/a:*/b c", "sudo chmod a+r /sys/a:*'/b c'"),
            ("denied /proc/1/io", 'sudo "$(command -v meter)" run'),
            (
                "unprivileged CAP_PERFMON",
                (
                    'sudo setpriv --reuid="$(id -u)" --regid="$(id -g)" --init-groups --inh-caps=+perfmon '
                    '--ambient-caps=+perfmon -- "$(command -v meter)" run'
                ),
            ),
            ("uninstalled rich>=13", "pip install 'rich>=13'"),
            ("uninstalled rich", "pip install rich"),
            ("other-value kernel.perf_event_paranoid<=1 4", "sudo sysctl -w kernel.perf_event_paranoid=1"),
            ("other-value net.core.somaxconn>=16,!=20 3", "sudo sysctl -w net.core.somaxconn=16"),
            ("no-number /proc/sys/net/ipv4/tcp_rmem", ""),
            ("unprivileged CAP_PERFMON /a tree", ""),  # nothing on this machine changes the tree
            ("other-value net.core.somaxconn>=16,!=20 3 /a tree", ""),
            ("denied /tree/sys/a", "sudo chmod a+r /tree/sys/a"),
            ("no-counters hardware", ""),
            ("elsewhere /tree", ""),
            ("other-version rich>=13 12.1", "pip install 'rich>=13'"),
            ("missing /sys/a", ""),
            ("unrecorded /sys/a", "meter doctor --format json > host.json"),
            ("whatever somebody wrote", ""),
        ],
    )
    def test_command(self, answer: str, wanted: str) -> None:
        """It can be pasted into a shell, and the help has it."""
        assert command(answer) == wanted
        assert wanted in remedy(answer)
        assert remedy(answer)
        assert reason(answer)

    def test_the_nearest_alternative(self) -> None:
        """The help is for one that a person can mend, not for hardware that is not there."""
        alternatives = [["missing /sys/a"], ["denied /sys/b", "missing /sys/c"], ["unprivileged CAP_BPF"]]
        assert told_of_alternatives(alternatives).help == remedy("unprivileged CAP_BPF")
        assert told_of_alternatives(alternatives[:2]).help == remedy("missing /sys/a")

    @pytest.mark.parametrize(
        ("alternatives", "why"),
        [
            ([["missing /a"], ["missing /b"]], "neither `/a` nor `/b` exists"),
            ([["missing /a"], ["missing /b"], ["missing /c"]], "none of `/a`, `/b`, `/c` exists"),
            ([["missing /a"], ["missing /a"]], "`/a` does not exist"),
            (
                [["denied /a"], ["missing /b"]],
                "neither of the two ways is open: no permission to read `/a`, and `/b` does not exist",
            ),
            (
                [["denied /a"], ["missing /b"], ["missing /c", "no-library x"]],
                (
                    "none of the 3 ways is open: no permission to read `/a`; `/b` does not exist; `/c` does not exist "
                    "and the shared library `x` is not on the path of the dynamic linker"
                ),
            ),
        ],
    )  # fmt: skip
    def test_that_none_of_several_ways_is_open(self, alternatives: list[list[str]], why: str) -> None:
        """No `or` between what all of it stands in the way."""
        assert told_of_alternatives(alternatives).why == why

    def test_of_what_lacks_more_than_another_nothing_is_said(self) -> None:
        """What opens the other one is enough."""
        library = "the shared library `x` is not on the path of the dynamic linker"
        assert told_of_alternatives([["no-library x"], ["missing /b", "no-library x"]]).why == library
        more = [["denied /a"], ["missing /b"], ["missing /b", "other-value kernel.x<=0 2"]]
        assert told_of_alternatives(more).why == (
            "neither of the two ways is open: no permission to read `/a`, and `/b` does not exist"
        )

    def test_each_reason_once(self) -> None:
        """Two patterns can fail for one reason."""
        assert told(["denied /sys/a", "denied /sys/a"]) == told(["denied /sys/a"])


class TestCheck:
    """A check refuses what the host does not have."""

    def test_a_capability(self) -> None:
        """With the command that gives it."""
        document = one(run("rapl sink", PERF, output(), host=host(capability="unprivileged CAP_PERFMON")), "E-HOST")
        assert "--ambient-caps=+perfmon" in document["help"]
        assert document["clause"] == "needs.host"

    @pytest.mark.parametrize(
        ("words", "left"),
        [
            ("gpu other sink", "leave `gpu` out"),
            ("gpu sink", "put another source in the place of `gpu`, without which `/host` has none that works here"),
            (
                "gpu gpu-2 sink",
                "put another source in the place of `gpu`, without which `/host` has none that works here",
            ),
        ],
        ids=["another one", "the only one", "no other one that works"],
    )
    def test_what_is_left_without_it(self, words: str, left: str) -> None:
        """Where nothing mends it; and what a check for another machine is for. Nothing is said twice."""
        both = "[[needs.host]]\nreadable = ['/a']\n[[needs.host]]\nreadable = ['/b']\nlibrary = ['x']\n"
        sources = [source("gpu", more=both), source("gpu-2", more=both), source("other")]
        answers = {("readable", path): f"missing {path}" for path in ("/a", "/b")}
        lacks = Recorded({**answers, ("library", "x"): "no-library x"})
        found = run(words, *sources, output(), host=lacks).diagnostics
        assume = (
            "to check a mount that is to run on another machine, as in CI, and not here: `meter check --host assume`"
        )
        assert [each.help for each in found if each.facts["plugin"] == "gpu"] == [f"{left}; {assume}"]

    def test_a_distribution(self) -> None:
        """The clause is shown beside the instance."""
        document = one(run("rapl sink", PERF, output(), host=host(rich="uninstalled rich")), "E-HOST")
        assert document["help"].startswith("install it: `pip install rich`; or put another source in")
        assert document["clause"] == "needs.python"
        assert document["spans"][1]["file"] == "rapl/contract.toml"

    def test_the_plan_names_the_alternative_that_holds(self) -> None:
        """The first one; without a name it is not told."""
        text = source(
            "rapl",
            more='[[needs.host]]\nname = "a"\nreadable = ["/a"]\n[[needs.host]]\nname = "b"\nreadable = ["/b"]\n'
            '[[needs.host]]\nname = "c"\nreadable = ["/c"]\n',
        )
        facts = {("readable", "/a"): "missing /a", ("readable", "/b"): "", ("readable", "/c"): ""}
        plugin = run("rapl sink", text, output(), host=Recorded(facts)).require().document["plugins"][0]
        assert plugin["alternative"] == "b"
        plugin = run("rapl sink", PERF, output(), host=host()).require().document["plugins"][0]
        assert plugin["alternative"] == ""

    def test_what_all_alternatives_lack_is_said_once(self) -> None:
        """Behind what tells them apart."""
        both = "[[needs.host]]\nreadable = ['/a']\nlibrary = ['libx.so']\n"
        plugin = contract(source("gpu", more=both + both.replace("/a", "/b")))
        answers = {("readable", "/a"): "missing /a", ("readable", "/b"): "missing /b"}
        lacks = Recorded({**answers, ("library", "libx.so"): "no-library libx.so"})

        assert host_fault(plugin, lacks) == (
            "neither `/a` nor `/b` exists; the shared library `libx.so` is not on the path of the dynamic linker"
        )

    def test_rights_are_not_told_where_the_hardware_is_missing(self) -> None:
        """Two ways to read what is not there are one reason."""
        files = "[[needs.host]]\nreadable = ['/a']\n"
        more = files + files.replace("/a", "/b") + "capability = ['CAP_PERFMON']\n" + files.replace("/a", "/b")
        plugin = contract(source("rapl", more=more + "sysctl = { 'kernel.x' = '<=0' }\n"))
        answers = {("readable", path): f"missing {path}" for path in ("/a", "/b")}
        denied = {("capability", "CAP_PERFMON"): "unprivileged CAP_PERFMON"}
        lacks = Recorded({**answers, **denied, ("sysctl", "kernel.x<=0"): "other-value kernel.x<=0 2"})

        assert host_fault(plugin, lacks) == "neither `/a` nor `/b` exists"

    def test_a_library(self) -> None:
        """Its name, what finds the package that brings it, and what to do in a container."""
        plugin = source("gpu", more="[[needs.host]]\nlibrary = ['libx.so.1']\n")
        asked = Recorded({("library", "libx.so.1"): "no-library libx.so.1"})

        document = one(run("gpu sink", plugin, output(), host=asked), "E-HOST")

        assert "the shared library `libx.so.1` is not on the path of the dynamic linker" in document["message"]
        assert "apt-file search -l libx.so.1" in document["help"]
        assert "in a container" in document["help"]

    def test_a_setting(self) -> None:
        """What it is, what it has to be, and the command that sets it."""
        plugin = source("events", more='[[needs.host]]\nsysctl = { "kernel.perf_event_paranoid" = "< 2" }\n')
        question = ("sysctl", "kernel.perf_event_paranoid<2")
        asked = Recorded({question: "other-value kernel.perf_event_paranoid<2 4"})

        document = one(run("events sink", plugin, output(), host=asked), "E-HOST")

        assert "the setting `kernel.perf_event_paranoid` is 4, not `<2`" in document["message"]
        assert document["help"].startswith("`sudo sysctl -w kernel.perf_event_paranoid=1` sets it until the next boot")

    @pytest.mark.parametrize(
        ("scope", "setting", "answer"),
        [
            ("", 1, ""),
            ("", 2, "is 2, not `<=1`"),
            ("machine", 0, ""),
            ("machine", 1, "is 1, not `<=0`"),
            ("mine", 9, ""),
        ],
    )
    def test_an_alternative_is_there_where_its_condition_holds(self, scope: str, setting: int, answer: str) -> None:
        """By the option's value or its default; where there is none nothing is needed."""
        given = f'config.events.scope = "{scope}"\n' if scope else ""
        result = run("events sink", CONDITIONAL, output(), more=given, host=paranoid(setting))

        assert codes(result) == (["E-HOST"] if answer else [])
        assert all(answer in shown(each)["message"] for each in result.diagnostics)

    def test_an_alternative_of_another_configuration_is_not_told(self) -> None:
        """The name that the plugin learns is that of one that exists."""
        result = run("events sink", CONDITIONAL, output(), host=paranoid(0))
        assert result.plan is not None
        assert result.plan.document["plugins"][0]["alternative"] == "own"

    def test_what_exists_only_for_some_configurations_keeps_nobody_away(self) -> None:
        """While plugins are looked for nobody knows which it will be; an unconditional one counts then."""
        bare = contract(CONDITIONAL)
        sure = contract(CONDITIONAL + "\n[[needs.host]]\ncapability = ['CAP_PERFMON']\n")
        lacks = Recorded({**paranoid(9).facts, ("capability", "CAP_PERFMON"): "unprivileged CAP_PERFMON"})

        assert carries(lacks, bare)
        assert not carries(lacks, sure)
        assert carries(Recorded({**lacks.facts, ("capability", "CAP_PERFMON"): ""}), sure)

    @pytest.mark.parametrize(("scope", "there"), [("process", True), ("machine", False)])
    def test_what_is_optional_is_left_out_by_its_configuration(self, scope: str, *, there: bool) -> None:
        """As it will be configured, before it is."""
        more = f'optional = ["events"]\nconfig.events.scope = "{scope}"\n'
        result = run("example sink", CONDITIONAL, source("example"), output(), more=more, host=paranoid(1))

        assert codes(result) == ([] if there else ["W-HOST-DEGRADED"])
        assert result.plan is not None
        assert ("events" in [each["instance"] for each in result.plan.document["plugins"]]) is there

    @pytest.mark.parametrize(
        ("when", "code"),
        [
            ("{ scop = 'machine' }", "E-CONFIG-UNKNOWN"),
            ("{ scope = 'machines' }", "E-CONFIG-RANGE"),
            ("'machine'", "E-CLAUSE-TYPE"),
        ],
    )
    def test_a_condition_that_cannot_be(self, when: str, code: str) -> None:
        """It names an option that there is, with a value that this takes."""
        found = faults(source("p", more=f"{SCOPE}[[needs.host]]\nwhen = {when}\nreadable = ['/a']\n"))
        assert [each.code for each in found] == [code]

    def test_what_can_be_set_comes_first(self) -> None:
        """Of two alternatives the help is for the one that a command mends."""
        alternatives = [["missing /sys/a"], ["other-value kernel.x<=1 4"]]
        assert told_of_alternatives(alternatives).help == remedy("other-value kernel.x<=1 4")

    @pytest.mark.parametrize(
        ("table", "got", "wanted"),
        [
            ('{ "kernel.x" = "1" }', '"1"', "whole numbers such as"),
            ('{ "kernel.x" = 1 }', "`1`", "whole numbers such as"),
            ('{ "kernel.x" = "<1,>5" }', '"<1,>5"', "whole numbers such as"),
            ('{ "../etc/passwd" = "<=1" }', "`../etc/passwd`", "a setting of the kernel as sysctl(8) names it"),
            ('{ "kernel" = "<=1" }', "`kernel`", "a setting of the kernel as sysctl(8) names it"),
        ],
    )
    def test_a_setting_that_there_cannot_be(self, table: str, got: str, wanted: str) -> None:
        """A name that is none, and numbers of which none will do."""
        [found] = faults(source("p", more=f"[[needs.host]]\nsysctl = {table}\n"))
        assert found.code == "E-CLAUSE-TYPE"
        assert f"{got}, not {wanted}" in shown(found)["message"]

    def test_a_capability_that_there_is_not(self) -> None:
        """The nearest one is asked about."""
        diagnostics = faults(source("p", more="[[needs.host]]\ncapability = ['CAP_PERFMN']\n"))
        assert [each.code for each in diagnostics] == ["E-CLAUSE-TYPE"]
        assert shown(diagnostics[0])["help"].startswith("did you mean `CAP_PERFMON`?")

    def test_both_are_two_causes(self) -> None:
        """Each is mended in its own way."""
        facts = host(rich="uninstalled rich", capability="unprivileged CAP_PERFMON")
        result = run("rapl sink", PERF, output(), host=facts)
        assert codes(result) == ["E-HOST", "E-HOST"]
        assert sorted(shown(each)["clause"] for each in result.diagnostics) == ["needs.host", "needs.python"]

    def test_faults_are_asked_for_as_values(self) -> None:
        """Who decides what becomes of a plugin gets answers."""
        plugin = contract(PERF)
        assert host_faults(plugin, host(capability="unprivileged CAP_PERFMON")) == [
            ["missing /sys/powercap"],
            ["unprivileged CAP_PERFMON"],
        ]
        assert python_faults(plugin, host(rich="uninstalled rich")) == ["uninstalled rich"]
