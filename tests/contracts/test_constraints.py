"""Constraints: relations between options and intervals."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.constraints import ConstraintError, bounds, holds, mixed, parse_constraint
from tests.contracts.build import faults, filter_, one, ordered, output, pointed, rule, run, source
from tests.strategies import steady

SECOND = 10**9


class TestHolds:
    """What a constraint says of values."""

    @pytest.mark.parametrize(
        ("text", "config", "interval", "answer"),
        [
            ("1 <= 2", {}, None, True),
            ("2 < 2", {}, None, False),
            ("1 + 2 * 3 == 7", {}, None, True),
            ("2 != 2.0", {}, None, False),
            ("1kB < 1KiB", {}, None, True),
            ("config.a >= 2 * config.b", {"a": 4, "b": 2}, None, True),
            ("config.window >= 2 * interval", {"window": 2 * SECOND}, SECOND, True),
            ("config.window >= 2 * interval", {"window": SECOND}, SECOND, False),
            ("config.window >= 90s", {"window": 90 * SECOND}, None, True),
            ("count(config.names) == 2", {"names": ["a", "b"]}, None, True),
            ("count(config.names) == 1", {"names": {"a": 1}}, None, True),
            ("config.ratio <= 0.1", {"ratio": 0.1}, None, True),  # 0.1 is 1/10, as it was written
            ("config.ratio == 0.3", {"ratio": 0.3}, None, True),
            ("config.ratio < 0.0000001", {"ratio": 1e-8}, None, True),
            ("config.cap <= 2000 W", {"cap": 2.0}, None, True),
            ("config.cap * config.window <= 1.9 kJ", {"cap": 2.0, "window": SECOND}, None, False),
            ("config.cap * interval == 2 kJ", {"cap": 2.0}, SECOND, True),
            ("config.room >= 1KiBy", {"room": 1024}, None, True),
            ("config.heat < 300 K", {"heat": 26.0}, None, True),
            ("config.heat < 300 K", {"heat": 27.0}, None, False),
            ("config.window > 0", {"window": 1}, None, True),
            ("config.a > 1", {}, None, None),  # not set: not evaluated
            ("interval > 1s", {}, None, None),  # not known
            ("interval > 1s", {}, 0, None),
        ],
    )
    def test_relations(self, text: str, config: dict[str, Any], interval: int | None, answer: bool | None) -> None:  # noqa: FBT001 one column of a table
        """Exact, with units; `None` where something is not known."""
        types = {"window": "duration", "cap": "quantity(kW)", "room": "size", "heat": "quantity(Cel)"}
        assert holds(parse_constraint(text), config, interval, types) is answer

    @pytest.mark.parametrize(
        "text",
        ["", "1", "1 <", "< 1", "1 < 2 < 3", "a < 1", "config.a and 1 < 2", "1 / 2 < 1", "-1 < 1", "1 =< 2", "1 = 1",
         "config. < 1", "count(a) < 1", "1s2s < 1", "interval(x) < 1", "1 < " + "9" * 5000],
    )  # fmt: skip
    def test_what_is_none(self, text: str) -> None:
        """Two constraints say it better than one with `and`."""
        with pytest.raises(ConstraintError) as error:
            parse_constraint(text)
        assert error.value.why

    @given(st.text(alphabet="0123456789 +*<>=!.sconfigcount()Ki", max_size=30))
    @steady
    def test_any_text(self, text: str) -> None:
        """A text is a constraint or not, and what is one has an answer."""
        try:
            constraint = parse_constraint(text)
        except ConstraintError:
            return
        assert holds(constraint, {}) in (True, False, None)
        mixed(constraint, {})

    @given(st.integers(0, 10**6), st.integers(0, 10**6))
    @steady
    def test_operators_agree_with_numbers(self, a: int, b: int) -> None:
        """The relation is that of the numbers."""
        config = {"a": a, "b": b}
        assert holds(parse_constraint("config.a < config.b"), config) == (a < b)
        assert holds(parse_constraint("config.a + 1 >= config.b"), config) == (a + 1 >= b)


class TestMixed:
    """What measures different things is never compared."""

    OPTIONS = (
        'config.window = { type = "duration", default = "2s" }\nconfig.room = { type = "size", default = "1kB" }\n'
        'config.cap = { type = "quantity(W)", default = "5 W" }\nconfig.n = { type = "int", default = 1 }\n'
    )

    @pytest.mark.parametrize(
        ("text", "pair"),
        [
            ("config.window >= config.room", ("config.window", "config.room")),
            ("config.window >= 5m", ("config.window", "5m")),  # metres
            ("config.n + config.room > 1s", ("config.room", "1s")),
            ("config.cap * config.window < 5 W", ("config.cap * config.window", "5 W")),
            ("config.cap < 1kB", ("config.cap", "1kB")),
        ],
    )
    def test_refused(self, text: str, pair: tuple[str, str]) -> None:
        """The contract is, before anybody mounts it."""
        (diagnostic,) = faults(source("p", more=f'require = ["{text}"]\n{self.OPTIONS}'))
        assert diagnostic.code == "E-CLAUSE-TYPE"
        first, second = pair
        assert f"`{first}` measures something else than `{second}`" in diagnostic.message
        assert diagnostic.help

    @pytest.mark.parametrize(
        "text",
        [
            "config.n + config.window > 0",
            "config.window >= 2 * config.interval",
            "config.cap * config.window <= 1 kJ",
            "config.cap * config.window * 2 <= 1 W.h",
            "count(config.names) < config.n",
            "config.room < 2kBy",
        ],
    )
    def test_taken(self, text: str) -> None:
        """A plain number stands beside anything, and units multiply."""
        more = f'require = ["{text}"]\n{self.OPTIONS}config.names = {{ type = "list<str>", default = [] }}\n'
        assert faults(source("p", more=more)) == []


TEXT = source(
    "p",
    more='require = ["count(config.names) <= 2", "config.window >= 2 * config.interval"]\n'
    'config.names = { type = "list<str>", default = [] }\nconfig.window = { type = "duration", default = "2s" }\n',
)


@pytest.mark.parametrize(
    ("more", "at", "words"),
    [
        ("config.p.names = ['a', 'b', 'c']\n", "names", "`names` is a list of 3"),
        ("config.p.interval = '2s'\n", "interval", "`interval` is `2s` and `window` is `2s`"),
    ],
)
def test_what_is_not_kept(more: str, at: str, words: str) -> None:
    """The option that the request gave is pointed at, the demand is shown, with the values."""
    document = one(run("p sink", TEXT, output(), more=more), "E-CONSTRAINT")
    assert pointed(document, "p sink", more) == at
    assert words in document["message"]
    assert document["spans"][1]["file"] == "p/contract.toml"


def test_what_is_kept() -> None:
    """Defaults keep what a contract demands."""
    assert ordered(run("p sink", TEXT, output()))


class TestWays:
    """Each side of what is not kept could be changed."""

    WINDOW = filter_(
        "w", rule("${config.metrics}", 'require = ["config.window >= 3 * interval"]\n'
                  'gives = { name = "${metric}.w${config.suffix}", interval = "${config.window}" }'),
        more='config.window = { type = "duration" }\nconfig.suffix = { type = "str", default = "" }\n'
        'config.metrics = { type = "list<metric>", default = ["*"] }',
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("words", "more", "help_", "written"),
        [
            (
                "p w sink",
                'config.w.window = "20s"\nconfig.p.interval = "10s"\n',
                'change `window` to `"30s"` or more, or `config.p.interval` to `"6.66s"` or less',
                [('window = "20s"', 'window = "30s"'), ('interval = "10s"', 'interval = "6.66s"')],
            ),
            (
                "p q w sink",
                'config.w.window = "2s"\nconfig.p.interval = "1s"\nconfig.q.interval = "1s"\n',
                (
                    'change `window` to `"3s"` or more, or `config.p.interval` and `config.q.interval` to `"666ms"` '
                    "or less"
                ),
                [('window = "2s"', 'window = "3s"'), ('interval = "1s"', 'interval = "666ms"')],
            ),
            (
                "p w#a w#b sink",
                (
                    'config.a = { window = "6s", metrics = ["p.value"], suffix = "a" }\n'
                    'config.b = { window = "9s", metrics = ["p.value.wa"] }\nconfig.p.interval = "2s"\n'
                ),
                'change `window` to `"18s"` or more',
                [('window = "9s"', 'window = "18s"')],
            ),
            (
                "p w#a w#b sink",
                (
                    'config.a = { window = "6s", metrics = ["p.value"], suffix = "a" }\n'
                    'config.b = { window = "9s", metrics = ["p.value.wa"] }\nconfig.p.interval = "1s"\n'
                ),
                'change `window` to `"18s"` or more, or `config.a.window` to `"3s"` or less',
                [('window = "9s"', 'window = "18s"'), ('window = "6s"', 'window = "3s"')],
            ),
        ],
        ids=["a source", "two sources", "a filter that is held itself", "a filter"],
    )
    def test_both_are_told(self, words: str, more: str, help_: str, written: list[tuple[str, str]]) -> None:
        """With values that a check takes."""
        contracts = (source("p"), source("q"), self.WINDOW, output())
        assert one(run(words, *contracts, more=more), "E-CONSTRAINT")["help"] == help_
        for old, new in written:
            assert ordered(run(words, *contracts, more=more.replace(old, new)))

    def test_what_an_option_cannot_be_is_not_told(self) -> None:
        """The source is not polled as often as that."""
        slow = source("p", more='config.interval = { type = "duration", default = "10s", min = "8s" }')
        more = 'config.w.window = "20s"\n'
        document = one(run("p w sink", slow, self.WINDOW, output(), more=more), "E-CONSTRAINT")
        assert document["help"] == 'change `window` to `"30s"` or more'

    def test_what_a_source_cannot_do_in_time_is_not_told(self) -> None:
        """Its call can take longer than that."""
        slow = source("p", more='deadline = "7s"\nconfig.interval = { type = "duration", default = "10s" }')
        document = one(run("p w sink", slow, self.WINDOW, output(), more='config.w.window = "20s"\n'), "E-CONSTRAINT")
        assert document["help"] == 'change `window` to `"30s"` or more'

    def test_two_options_of_one_plugin(self) -> None:
        """Each with what it would have to be; other relations have no bound."""
        text = source(
            "p",
            more='require = ["2 * config.low <= config.high"]\nconfig.low = { type = "int", default = 1 }\n'
            'config.high = { type = "int", default = 9 }\n',
        )
        document = one(run("p sink", text, output(), more="config.p.low = 5\n"), "E-CONSTRAINT")
        assert document["help"] == "change `low` to `4` or less, or `high` to `10` or more"
        other = text.replace("2 * config.low <=", "config.low !=")
        document = one(run("p sink", other, output(), more="config.p.low = 9\n"), "E-CONSTRAINT")
        assert document["help"] == "change `high` or `low`"

    @given(
        st.sampled_from(
            ["config.a >= 2 * config.b + 3", "config.a + config.b <= 4 * config.c", "3 <= config.a * config.b"]
        ),
        st.fixed_dictionaries({name: st.integers(1, 50) for name in "abc"}),
    )
    def test_a_bound_is_the_last_that_holds(self, text: str, config: dict[str, int]) -> None:
        """One step beyond it the constraint does not."""
        constraint = parse_constraint(text)
        found = bounds(constraint, config)
        assert {name for _, name in found} == set(constraint.names)
        for (_, name), (word, number) in found.items():
            step = Fraction(1, 1000) * (-1 if word == "least" else 1)
            at, beyond = (holds(constraint, {**config, name: float(number + by)}) for by in (-step, step))
            assert (at, beyond) == (True, False)
