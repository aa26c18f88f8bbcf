"""Formulas as texts: what is one, what is none, and that it is said where it ends to be one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.formula.formulas import DEEPEST, LONGEST, FormulaError, Node, Number, Product, Reading, parse
from meter.contracts.language import language
from meter.contracts.options import check_formula
from tests.contracts.build import faults, filter_, one, output, pointed, run, source
from tests.strategies import steady


def shape(node: Node) -> str:
    """A tree as a text with all its parentheses."""
    match node:
        case Number():
            return f"{node.value:g}"
        case Reading():
            return f"{node.function}<{node.selector.text}>"
        case Product():
            return "(" + "".join(f"{'/' if sign < 0 else '*'}{shape(factor)}" for sign, factor in node.factors) + ")"
    return "(" + "".join(f"{'-' if sign < 0 else '+'}{shape(term)}" for sign, term in node.terms) + ")"


class TestGrammar:
    """Texts and trees."""

    @pytest.mark.parametrize(
        ("text", "tree"),
        [
            ("a", "<a>"),
            (" ( a ) ", "<a>"),
            ("a*b/c", "(*<a>*<b>/<c>)"),
            ("a + b*c - d", "(+<a>+(*<b>*<c>)-<d>)"),
            ("(a + b)*c", "(*(+<a>+<b>)*<c>)"),
            ("a / (b / c)", "(*<a>/(*<b>/<c>))"),
            ("2.5e-1 * a", "(*0.25*<a>)"),
            # dots and dashes belong to a name, so that a difference has blanks
            ("a.b-c", "<a.b-c>"),
            ("a - b", "(+<a>-<b>)"),
            ("a -b", "(+<a>-<b>)"),
            ("2-a", "(+2-<a>)"),
            ("1m*a", None),
            ("a/b", "(*<a>/<b>)"),
            ("a_1.2x", "<a_1.2x>"),
            ("sum(a{k=v|w,cpu.mode=x})", "sum<a{k=v|w,cpu.mode=x}>"),
            ("sum ( a )", "sum<a>"),
            ("sum", "<sum>"),
            ("sum{k=v}", "<sum{k=v}>"),
            (
                "hw.energy{domain=package} * sum(process.cpu.time)\n / sum(system.cpu.time{cpu.mode=user|nice|system})",
                "(*<hw.energy{domain=package}>*sum<process.cpu.time>/sum<system.cpu.time{cpu.mode=user|nice|system}>)",
            ),
        ],
    )
    def test_what_is_a_formula(self, text: str, tree: str | None) -> None:
        """Products bind stronger than sums, chains are flat, names are those of metrics."""
        if tree is None:
            with pytest.raises(FormulaError):
                parse(text)
        else:
            assert shape(parse(text).root) == tree

    @pytest.mark.parametrize(
        ("text", "why", "found"),
        [
            ("", "formula-operand", ""),
            ("a *", "formula-operand", ""),
            ("a * / b", "formula-operand", "/"),
            ("!a", "formula-operand", "!a"),
            ("-a", "formula-sign", "-"),
            ("a * -b", "formula-sign", "-"),
            ("a b", "formula-operator", "b"),
            ("a)", "formula-operator", ")"),
            ("a {k=v}", "formula-operator", "{"),
            ("a/b{k=v}}", "formula-operator", "}"),
            ("(a", "formula-close", ""),
            ("sum(a*b)", "formula-close", "*"),
            ("sum()", "formula-selector", ")"),
            ("sum(2)", "formula-selector", "2"),
            ("sum(", "formula-selector", ""),
            ("a{k=v", "formula-brace", "{k=v"),
            ("2 * hw.*", "formula-wildcard", "hw.*"),
            ("hw?", "formula-wildcard", "hw?"),
            ("*.time", "formula-wildcard", "*"),
            ("sum(*.time)", "formula-wildcard", "*"),
            ("a * [ab].c", "formula-wildcard", "[ab].c"),
            ("1e999 * a", "formula-number", "1e999"),
            ("a / 0", "formula-zero", "0"),
            ("a / (0.00)", "formula-zero", "(0.00)"),
            ("1 + 2 * 3", "formula-constant", "1 + 2 * 3"),
            ("2 * a{k}", "selector-condition", "a{k}"),
            ("2 * mean(a)", "formula-function", "mean"),
            ("2 * sum(sum{kind=rate})", "selector-word", "sum{kind=rate}"),
            ("a{unit=parsec}", "selector-unit", "a{unit=parsec}"),
        ],
    )
    def test_what_is_none(self, text: str, why: str, found: str) -> None:
        """It says which characters are wrong, and there are words for it."""
        with pytest.raises(FormulaError) as error:
            check_formula(text)
        fault = error.value
        assert (fault.why, text[fault.at : fault.at + fault.length]) == (why, found)
        assert fault.at == len(text) or found
        assert "${" not in language().phrase(
            "text", why, "text", "" if fault.facts.get("got", "x") else "end", **fault.facts
        )

    def test_bounds(self) -> None:
        """A hostile text costs neither time nor stack."""
        assert parse("(" * DEEPEST + "a" + ")" * DEEPEST)
        with pytest.raises(FormulaError) as error:
            parse("(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1))
        assert (error.value.why, error.value.at) == ("formula-deep", DEEPEST)
        assert parse("a*" * (LONGEST // 2 - 1) + "a")
        with pytest.raises(FormulaError) as error:
            parse("a*" * (LONGEST // 2) + "a")
        assert error.value.why == "formula-long"

    @given(st.text(alphabet="ab1.0-+*/(){}=|, sum\n!", max_size=30) | st.text(max_size=20))
    @steady
    def test_any_text_is_a_formula_or_not(self, text: str) -> None:
        """Reading never fails in another way; places lie in the text."""
        fault = None
        try:
            formula = check_formula(text)
        except FormulaError as error:
            fault = error
        if fault is not None:
            assert 0 <= fault.at <= len(text)
            assert fault.length >= 1
            assert fault.why in language().words["text"]
            return
        for place, reading in enumerate(formula.readings):
            assert reading.place == place
            assert reading.selector.text in text[reading.start : reading.end]
            assert reading.selector.literal


ATTRIBUTION = filter_("shares", more='[config.formulas]\ntype = "map<formula>"')


class TestOption:
    """The option type `formula`."""

    @pytest.mark.parametrize(
        ("text", "place", "words"),
        [
            ("probe.value * ) 2", ")", "expected a metric, a number or `(`, found `)`"),
            ("sum(probe.value", "sum(probe.value", "a `(` is not closed"),
            ("mean(probe.value)", "mean", "which is one of `sum`, `share`"),
        ],
    )
    def test_the_characters_are_pointed_at(self, text: str, place: str, words: str) -> None:
        """A formula that cannot be read is refused where it cannot, inside the value of the mount file."""
        more = f'config.shares.formulas."p.energy" = "{text}"\n'
        document = one(run("probe shares sink", source(), ATTRIBUTION, output(), more=more), "E-CONFIG-TYPE")
        assert words in document["help"]
        assert pointed(document, "probe shares sink", more).strip('"') == place

    def test_what_is_no_text(self) -> None:
        """A number is no formula, though it could be read as one."""
        more = "config.shares.formulas.x = 2\n"
        document = one(run("probe shares sink", source(), ATTRIBUTION, output(), more=more), "E-CONFIG-TYPE")
        assert pointed(document, "probe shares sink", more) == "2"

    def test_a_default_is_read_with_its_contract(self) -> None:
        """So that nobody meets it first."""
        text = filter_("f", more='[config.x]\ntype = "formula"\ndefault = "2 * * a"')
        (fault,) = faults(text)
        assert fault.code == "E-CONFIG-TYPE"
        span = fault.spans[0]
        assert text.split("\n")[span.line - 1][span.column - 1 :][: span.length] == "*"
