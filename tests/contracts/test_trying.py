"""What a help offers beyond a word or two keeps all that was asked for, and a check takes it as it is told."""

from __future__ import annotations

import tomllib

import pytest

from meter.contracts.check import Checked, check
from meter.contracts.command_line import from_words
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.edits import applied
from meter.contracts.host import Assumed
from tests.contracts.build import catalogue, filter_, head, metric, one, output, requests, rule, run, said, source

SINK = output()
FILE = output("file", more='durability = "process"\nconfig.path = { type = "path", access = "write" }')
POWER = source("meter", metric("power", unit="W"))
BOTH = source("meter", metric("power", unit="W"), metric("work", unit="J"))
NAMES = filter_(
    "names",
    rule("${config.metrics}", 'gives = { name = "${config.as}.${metric}" }'),
    more='config.metrics = { type = "list<metric>" }\nconfig.as = { type = "str" }',
)
KEEPER = (
    head("keeper", "recover") + 'durability = "process"\nconfig.path = { type = "path", access = "fill" }\n'
    'config.durability = { type = "enum", values = ["process", "power"], default = "process" }\n'
)


def checked(text: str, *contracts: str) -> dict[str, Checked]:
    """All mounts of a text, checked."""
    found, diagnostics = requests(text)
    assert not diagnostics, [each.message for each in diagnostics]
    return {name: check(request, catalogue(*contracts), Assumed()) for name, request in found.items()}


def sound(text: str, *contracts: str) -> None:
    """Assert that nothing is said of any mount of a text."""
    assert {name: said(result) for name, result in checked(text, *contracts).items() if said(result)} == {}


def by_words(words: str, *contracts: str) -> Diagnostic:
    """The only diagnostic of `meter mount /host WORDS`."""
    request, _ = from_words("/host", words.split(), ["meter", "mount", "/host"])
    assert request is not None
    [found] = check(request, catalogue(*contracts), Assumed()).diagnostics
    return found


class TestSplit:
    """A ring of reads runs through two instances; one more of either plugin opens it."""

    RING = (
        '[mounts."/host"]\nplugins = ["meter", "names#a", "names#b", "sink"] # p\n'
        'config.a = { metrics = ["power", "b.work"], as = "a" } # a\n'
        'config.b = { metrics = ["work", "a.power"], as = "b" }\n'
    )
    GIVEN = frozenset({"power", "work", "a.power", "b.work", "b.a.power", "a.b.work"})

    def fault(self, text: str) -> Diagnostic:
        """What is said of the only mount of a text."""
        [found] = checked(text, BOTH, NAMES, SINK)["/host"].diagnostics
        assert found.code == "E-CYCLE"
        return found

    def test_what_both_select_is_kept(self) -> None:
        """The words are those of the edit, and the metrics those that were asked for."""
        found = self.fault(self.RING)
        own, rest = 'config.b-2 = { as = "b", metrics = ["a.power"] }', 'metrics = ["work"]'
        assert found.help == (
            "each makes what another one reads: to keep both reads, put `names#b-2`, an instance of its own for one of "
            f"them, beside `b` in `plugins`, and write `{own}` and `{rest}` in the place of `metrics` inside the "
            "braces of `config.b`; or take `a.power` out of what `b` selects or `b.work` out of what `a` selects"
        )
        assert found.edit is not None
        new = applied(self.RING, found.edit.changes)
        assert '["meter", "names#a", "names#b", "names#b-2", "sink"] # p\n' in new
        assert '"a" } # a\n' in new
        plan = checked(new, BOTH, NAMES, SINK)["/host"].require()
        assert {each["metric"] for each in plan.document["schema"]["sink"]} == self.GIVEN
        told = self.RING.replace('"names#b"', '"names#b", "names#b-2"').replace('metrics = ["work", "a.power"]', rest)
        assert tomllib.loads(told + own) == tomllib.loads(new)

    @pytest.mark.parametrize("item", ["a.b.work", "a.work"], ids=["of itself", "beside"])
    def test_all_that_one_reads_of_the_other_goes_together(self, item: str) -> None:
        """One item alone would leave the ring closed."""
        text = self.RING.replace('"a.power"]', f'"a.power", "{item}"]').replace('"power", ', '"power", "work", ')
        found = self.fault(text)
        assert f'`config.b-2 = {{ as = "b", metrics = ["a.power", "{item}"] }}`' in found.help
        assert found.edit is not None
        sound(applied(text, found.edit.changes), BOTH, NAMES, SINK)

    def test_what_a_check_refuses_is_not_offered(self) -> None:
        """What is written by two instances cannot be: only words that take something out are told."""
        files = NAMES.replace("\nconfig.as", '\nconfig.log = { type = "path", access = "write" }\nconfig.as')
        text = self.RING.replace(', as = "a"', ', as = "a", log = "a"').replace(', as = "b"', ', as = "b", log = "b"')
        [found] = checked(text, BOTH, files, SINK)["/host"].diagnostics
        assert found.edit is None
        assert found.help == (
            "each makes what another one reads: take `a.power` out of what `b` selects or `b.work` out of what `a` "
            "selects"
        )

    def test_what_nobody_reads_is_only_an_edit(self) -> None:
        """Of very long selections no beginning is told that could be taken for the whole."""
        many = source("meter", *(metric(f"m{nth}") for nth in range(120)), metric("work"), metric("power"))
        names = ", ".join(f'"m{nth}"' for nth in range(120))
        text = self.RING.replace('"work", ', f'"work", {names}, ')
        [found] = checked(text, many, NAMES, SINK)["/host"].diagnostics
        assert found.help.startswith("each makes what another one reads: take `")
        assert found.edit is not None
        sound(applied(text, found.edit.changes), many, NAMES, SINK)

    def test_a_command_line_has_words_and_no_edit(self) -> None:
        """As they are typed there."""
        words = "meter names#a metrics=power metrics=b.work as=a names#b metrics=work metrics=a.power as=b sink"
        found = by_words(words, BOTH, NAMES, SINK)
        assert found.edit is None
        assert "beside `b`, and write `as=b metrics=a.power` behind `b-2` and `metrics=work` behind `b`" in found.help
        mended = words.replace("metrics=work metrics=a.power as=b", "as=b metrics=work names#b-2 as=b metrics=a.power")
        request, _ = from_words("/host", mended.split(), ["meter", "mount", "/host"])
        assert request is not None
        assert check(request, catalogue(BOTH, NAMES, SINK), Assumed()).plan is not None


class TestRecovered:
    """An output that promises too little, with what keeps what it cannot deliver."""

    DEMAND = 'durability = "process"\n'

    @pytest.mark.parametrize(
        ("words", "durability", "more", "settings"),
        [
            ("meter sink", "process", "", ['config.keeper = { for = ["sink"], path = "host.keeper" }']),
            ("meter sink file", "process", 'config.file.path = "f"\n', [
                'config.keeper = { for = ["sink"], path = "host.keeper" }']),
            ("meter sink", "power", "", [
                'config.keeper = { for = ["sink"], path = "host.keeper", durability = "power" }']),
            ("meter sink#a sink#b", "process", "", ['config.keeper = { for = ["a", "b"], path = "host.keeper" }']),
            ("meter sink#a sink#b keeper", "process", 'config.keeper.path = "k"\nconfig.keeper.for = ["a"]\n', [
                'config.keeper.for = ["a", "b"]']),
            ("meter sink keeper", "power", 'config.keeper = { path = "k", for = ["sink"] }\n', [
                'durability = "power"']),
        ],
        ids=["alone", "beside another", "as an option says", "two", "one is kept", "kept too little"],
    )  # fmt: skip
    def test_it_is_told_with_all_options(self, words: str, durability: str, more: str, settings: list[str]) -> None:
        """Of the catalogue, or one that is there: what is written then keeps the demand and the output."""
        demand = f'durability = "{durability}"\n'
        result = run(words, POWER, SINK, FILE, KEEPER, more=demand + more)
        helps = {each.help for each in result.diagnostics}
        assert {each.code for each in result.diagnostics} == {"E-DURABILITY"}
        assert len(helps) == 1
        [help_] = helps
        assert all(f"`{line}`" in help_ for line in settings)
        assert help_.startswith("let `keeper` keep what `")
        if "keeper" not in words:
            words, more = f"{words} keeper", more + "\n".join(settings)
        elif "for = [" in settings[0]:
            more = more.replace('config.keeper.for = ["a"]', settings[0])
        else:
            more = more.replace(" }", f", {settings[0]} }}")
        assert run(words, POWER, SINK, FILE, KEEPER, more=demand + more).plan is not None

    def test_one_that_promises_too_little_is_not_told(self) -> None:
        """Neither it nor its options would mend anything."""
        weak = head("keeper", "recover") + 'durability = "volatile"\n'
        assert "keeper" not in one(run("meter sink", POWER, SINK, weak, more=self.DEMAND), "E-DURABILITY")["help"]

    def test_outputs_that_promise_enough_are_named(self) -> None:
        """Three of them, by name, for the only output, where nothing recovers."""
        good = [output(f"safe-{n}", more='durability = "power"') for n in range(4)]
        less = 'demand less: `durability = "volatile"`'
        document = one(run("meter sink", POWER, SINK, *good, more=self.DEMAND), "E-DURABILITY")
        assert document["help"] == (
            f"take an output that promises `process` instead, such as `safe-0`, `safe-1`, `safe-2`; or {less}"
        )
        document = one(run("meter sink", POWER, SINK, more=self.DEMAND), "E-DURABILITY")
        assert document["help"] == f"no output that is there promises `process`: {less}"

    def test_a_mount_of_its_own_without_the_demand(self) -> None:
        """Where nothing recovers and there is another output: the other one keeps the demand."""
        words = "meter sink file"
        more = 'durability = "process"\nconfig.file.path = "f"\n'
        document = one(run(words, POWER, SINK, FILE, more=more), "E-DURABILITY")
        assert document["help"] == (
            "give `sink` a mount of its own without that demand: take `sink` out of `/host`, and write "
            '`plugins = ["meter", "sink"]` below a new `[mounts."/host-2"]`; or demand less here: '
            '`durability = "volatile"`'
        )
        sound(
            f'[mounts."/host"]\nplugins = ["meter", "file"]\n{more}[mounts."/host-2"]\nplugins = ["meter", "sink"]\n',
            POWER, SINK, FILE,
        )  # fmt: skip


class TestElsewhere:
    """Two that contradict each other by their contracts, each in a mount of its own."""

    FIRST = filter_("first", more='ordering.before = ["second"]\nconfig.n = { type = "int", default = 1 }')
    SECOND = filter_("second", more='ordering.before = ["first"]\nconfig.n = { type = "int", default = 1 }')

    def contracts(self) -> tuple[str, ...]:
        """All that is mounted."""
        return POWER, self.FIRST, self.SECOND, FILE, SINK

    def test_all_lines_are_told(self) -> None:
        """Those of the new mount, whose file is another one, and what is taken out of the old one."""
        more = 'config.second.n = 2\nconfig.file.path = "out/host.csv"\nconfig.first.n = 3\n'
        document = one(run("meter first second file", *self.contracts(), more=more), "E-CYCLE")
        lines = (
            'plugins = ["meter", "second", "file"]', 'config.file.path = "out/host-2.csv"', "config.second.n = 2",
        )  # fmt: skip
        assert document["help"] == (
            "they cannot be in one chain; to have both, take `second` and `config.second` out of `/host`, and write "
            f"`{lines[0]}`, `{lines[1]}` and `{lines[2]}`"
            ' below a new `[mounts."/host-2"]`; or leave one of them out (or change a contract, if it is yours)'
        )
        old = '[mounts."/host"]\nplugins = ["meter", "first", "file"]\n' + more.partition("\n")[2]
        sound(old + '[mounts."/host-2"]\n' + "\n".join(lines), *self.contracts())

    def test_a_name_that_is_mounted_is_not_taken(self) -> None:
        """The next one is."""
        text = (
            '[mounts."/host"]\nplugins = ["meter", "first", "second", "sink"]\n'
            '[mounts."/host-2"]\nplugins = ["meter", "sink"]\n'
        )
        [found] = checked(text, *self.contracts())["/host"].diagnostics
        assert '`[mounts."/host-3"]`' in found.help

    def test_an_order_of_somebody_who_is_not_there(self) -> None:
        """The new mount is tried without its place in a file."""
        more = 'order = [["sink", "gone"]]\n'
        found = run("meter first second sink", *self.contracts(), more=more).diagnostics
        assert sorted(each.code for each in found) == ["E-CYCLE", "W-ORDER-INERT"]
        assert 'order = [["sink", "gone"]]' in next(each.help for each in found if each.code == "E-CYCLE")

    def test_a_command_is_told_on_the_command_line(self) -> None:
        """It can be typed as it is."""
        found = by_words("meter first n=3 second n=2 file path=host.csv", *self.contracts())
        assert (
            "leave `second n=2` out here, and run `meter mount /host-2 meter second n=2 file path=host-2.csv`, too"
            in found.help
        )

    @pytest.mark.parametrize("more", ["config.sink.metrics = 3\n", 'config.sink.queue_points = "x"\n', ""])
    def test_what_is_wrong_itself_stands_in_no_line(self, more: str) -> None:
        """Options that are none are said, and not copied into another mount."""
        result = run("meter first second sink", *self.contracts(), more=more)
        helps = [each.help for each in result.diagnostics if each.code == "E-CYCLE"]
        assert all(("[mounts" in help_) == (not more) for help_ in helps)
        assert result.diagnostics

    @pytest.mark.parametrize(
        "taken",
        [
            'claims = ["gpu:0"]',
            'needs.capabilities = { first = "*" }',
        ],
        ids=["what two mounts cannot have", "what needs the other one"],
    )
    def test_what_two_mounts_cannot_be_is_not_offered(self, taken: str) -> None:
        """Then one of them has to go."""
        only = output("only", more=taken) if taken.startswith("claims") else output("only")
        second = self.SECOND if taken.startswith("claims") else self.SECOND.replace("ordering", f"{taken}\nordering")
        first = self.FIRST if taken.startswith("claims") else self.FIRST.replace(
            "ordering", 'needs.capabilities = { second = "*" }\nordering'
        )  # fmt: skip
        document = one(run("meter first second only", POWER, first, second, only), "E-CYCLE")
        assert document["help"] == "leave one of them out (or change a contract, if it is yours)"

    LINE = source(
        "line",
        metric("n", type_="i64", more='when = { whole = true }\nattributes = { line = "${config.lines}" }'),
        metric("n", more='when = { whole = false }\nattributes = { line = "${config.lines}" }'),
        more='config.whole = { type = "bool", default = false }\nconfig.lines = { type = "list<str>" }',
    )

    def test_one_name_in_two_shapes(self) -> None:
        """Neither changes its own; the one that was asked last goes."""
        more = 'config.a = { lines = ["a"], whole = true }\nconfig.b.lines = ["b"]\n'
        help_ = one(run("line#a line#b sink", self.LINE, SINK, more=more), "E-FLOW-CLASH")["help"]
        assert help_.startswith(
            "a name has one type, unit and kind in a backend: to keep both as they are, take `line#b` and `config.b` "
            'out of `/host`, and write `plugins = ["line#b", "sink"]` and `config.b.lines = ["b"]` below a new '
            '`[mounts."/host-2"]`; or configure both alike'
        )
        old = '[mounts."/host"]\nplugins = ["line#a", "sink"]\nconfig.a = { lines = ["a"], whole = true }\n'
        sound(old + '[mounts."/host-2"]\nplugins = ["line#b", "sink"]\nconfig.b.lines = ["b"]\n', self.LINE, SINK)

    def test_one_series_of_two_plugins(self) -> None:
        """Each could be the right one; two instances of one plugin have no need of it."""
        other = source("other", metric("power", unit="W"))
        help_ = one(run("meter other sink", POWER, other, SINK), "E-FLOW-CLASH")["help"]
        assert help_ == (
            'to keep both as they are, take `other` out of `/host`, and write `plugins = ["other", "sink"]` below a '
            'new `[mounts."/host-2"]`; or leave one out'
        )
        assert one(run("meter meter#b sink", POWER, SINK), "E-FLOW-CLASH")["help"] == "leave one out"


def test_a_ring_says_who_asks_for_it() -> None:
    """The request's own `order`, if it is in the ring."""
    first, second = filter_("first", more='ordering.before = ["second"]'), filter_("second")
    asked = run("meter first second sink", POWER, first, second, SINK, more='order = [["second", "first"]]\n')
    assert one(asked, "E-CYCLE")["help"] == (
        "`order` asks that `second` comes before `first`, the opposite of what `first` demands, and a contract does "
        'not give way: turn it round, `order = [["first", "second"]]`, or remove it'
    )
    both = 'order = [["first", "second"], ["second", "first"]]\n'
    document = one(run("meter first second sink", POWER, filter_("first"), second, SINK, more=both), "E-CYCLE")
    assert document["help"] == "`order` asks for both: remove one of the two"


def test_trying_ends() -> None:
    """Of a mount with very many plugins nothing is tried that would take longer than the check."""
    others = [filter_(f"f{nth}") for nth in range(600)]
    words = " ".join(f"f{nth}" for nth in range(600))
    first = filter_("first", more='ordering.before = ["second"]')
    second = filter_("second", more='ordering.before = ["first"]')
    document = one(run(f"meter first second {words} sink", POWER, first, second, SINK, *others), "E-CYCLE")
    assert document["help"] == "leave one of them out (or change a contract, if it is yours)"


def test_what_may_be_a_secret_is_not_told() -> None:
    """An option in whose place a secret was written stands in no line that is offered."""
    first = filter_("first", more='ordering.before = ["second"]')
    second = filter_("second", more='ordering.before = ["first"]')
    sender = output("sender", more='config.token = { type = "secret" }')
    more = 'config.sender.token = "hunter2"\n'
    result = run("meter first second sender", POWER, first, second, sender, more=more)
    assert "E-CYCLE" in [each.code for each in result.diagnostics]
    assert not [each for each in result.diagnostics if "hunter2" in each.message + each.help]
