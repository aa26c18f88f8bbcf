"""The relation between versions of a contract as properties: what it promises holds in random chains."""

from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from meter.contracts.check import Checked, check
from meter.contracts.digests import canonical_bytes
from meter.contracts.host import Recorded
from meter.contracts.model import Contract
from meter.contracts.reader import read
from meter.contracts.replacement.compatibility import compare
from tests import replacement, strategies
from tests.contracts.build import catalogue, request
from tests.replacement import MAKERS, Scene

HOST = Recorded({("readable", "/proc/stat"): "", ("readable", "/proc/uptime"): ""})
NAMES = sorted(MAKERS)
many = settings(strategies.steady, max_examples=300)


def contract(name: str, made_of: list[int]) -> Contract:
    """The contract of some numbers; others are looked for where they make none."""
    found = read(replacement.text(MAKERS[name](name, made_of)).encode(), f"{name}/contract.toml").contract
    assume(found is not None)
    assert found is not None
    return found


def run(scene: Scene) -> Checked:
    """Check a scene, all of whose plugins are asked for."""
    texts = scene.texts()
    return check(request(" ".join(texts), scene.more), catalogue(*texts.values()), HOST)


def kept(result: Checked) -> Any:
    """What a replacement must not change: order, and what each instance gives, takes and ends."""
    if result.plan is None:
        return [diagnostic.message for diagnostic in result.diagnostics if diagnostic.level == "error"]
    document = result.plan.document
    emits = [plugin["emits"] for plugin in document["plugins"]]
    edges = [(edge["from"], edge["to"]) for edge in document["edges"]]
    return [document["order"], document["schema"], _without_parts([document["hops"], emits]), edges]


def _without_parts(value: Any) -> Any:
    """A JSON value without what metrics say of parts: the one promise of a metric that may grow."""
    if isinstance(value, dict):
        return {key: _without_parts(each) for key, each in value.items() if key != "parts"}
    return [_without_parts(each) for each in value] if isinstance(value, list) else value


@given(st.sampled_from(NAMES), replacement.numbers())
@many
def test_a_contract_may_replace_itself(name: str, made_of: list[int]) -> None:
    """Reflexive: nothing has changed, and nothing is owed."""
    found = compare(contract(name, made_of), contract(name, made_of))

    assert (found.changes, found.level, found.owed, found.settled) == ((), "equal", "none", True)


@given(st.sampled_from(NAMES), replacement.numbers(), st.data())
@many
def test_a_difference_is_never_silent(name: str, made_of: list[int], data: st.DataObject) -> None:
    """Whatever two contracts differ in, apart from their version, there is a change, and equal ones have none."""
    old = contract(name, made_of)
    new = contract(name, data.draw(replacement.later(name, made_of)))
    found = compare(old, new)

    event(found.level)
    if found.changes:
        assert canonical_bytes(old.body) != canonical_bytes(new.body)
    elif old.digest != new.digest:
        event("written otherwise")
        assert compare(new, old).changes == ()


@given(st.sampled_from(NAMES), replacement.numbers(), st.data())
@many
def test_places_lie_in_the_texts(name: str, made_of: list[int], data: st.DataObject) -> None:
    """Each change has its words, and points into both files."""
    old = contract(name, made_of)
    found = compare(old, contract(name, data.draw(replacement.later(name, made_of, 5))))

    for change in found.changes:
        assert change.text
        assert change.help
        assert all(span.line >= 1 and span.file.endswith("contract.toml") for span in found.places(change))


GOOD = ("equal", "subtype")


def better(name: str, made_of: list[int], data: st.DataObject) -> tuple[list[int], Contract] | None:
    """A later version that may replace one, with changes; None where none of some is."""
    old = contract(name, made_of)
    for _ in range(6):
        new = data.draw(replacement.later(name, made_of))
        found = read(replacement.text(MAKERS[name](name, new)).encode(), "contract.toml").contract
        if found is None:
            continue
        comparison = compare(old, found)
        if comparison.level in GOOD and comparison.changes:
            return new, found
    return None


@given(st.sampled_from(NAMES), replacement.numbers(), st.data())
@settings(many, max_examples=100)
def test_replacing_is_transitive(name: str, made_of: list[int], data: st.DataObject) -> None:
    """What may replace a version that may replace another one may replace that one, too."""
    first = contract(name, made_of)
    second = better(name, made_of, data)
    third = None if second is None else better(name, second[0], data)
    if third is None:
        return

    whole = compare(first, third[1])
    event(whole.level)
    assert whole.level in GOOD, [(change.rule.name, change.text) for change in whole.changes]


@given(replacement.scenes(), st.data())
@settings(many, max_examples=150)
def test_a_replacement_keeps_every_mount(scene: Scene, data: st.DataObject) -> None:
    """The theorem of the relation: a sound mount stays sound, with the same order and the same metrics.

    Two things that a plugin may say more of are seen by others, who decide what they make of it: a capability that
    they name in an order or a conflict, and parts of what they sum, which was wrong before.
    """
    before = run(scene)
    if before.plan is None:
        event(min(each.code for each in before.diagnostics if each.level == "error"))
        return
    olds = {name: contract(name, made_of) for name, made_of in scene.made_of.items()}
    for _ in range(8):
        name = data.draw(st.sampled_from(sorted(scene.made_of)))
        made_of = data.draw(replacement.later(name, scene.made_of[name], 4))
        new = read(replacement.text(MAKERS[name](name, made_of)).encode(), "contract.toml").contract
        if new is None:
            continue
        old = olds[name]
        found = compare(old, new)
        event(found.level)
        if found.level not in GOOD or old.body == new.body:
            continue
        if set(new.provides.capabilities) - set(old.provides.capabilities) & scene.named_elsewhere(name):
            continue
        after = run(scene._replace(made_of={**scene.made_of, name: made_of}))
        rules = sorted({change.rule.name for change in found.changes})
        if "parts-added" in rules and after.plan is None:
            assert {each.code for each in after.diagnostics if each.level == "error"} == {"E-FLOW-DOUBLE"}
        else:
            assert kept(after) == kept(before), rules
