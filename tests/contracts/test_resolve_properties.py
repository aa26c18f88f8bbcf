"""Properties of resolution over random catalogues whose plugins reach out to each other."""

import json
import tomllib
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.check import Checked, check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Recorded
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from tests import strategies
from tests.contracts.build import catalogue, request, shown
from tests.contracts.test_properties import schemas, turned, whole, without_places, written
from tests.strategies import World

many = settings(strategies.steady, max_examples=80)


def host(world: World) -> Recorded:
    """The host of a world."""
    return Recorded({("readable", path): "" if path in world.readable else f"missing {path}" for path in ("/x", "/y")})


def run(world: World) -> Checked:
    """Check the scene of a world on its host."""
    scene = world.scene
    return check(request(" ".join(scene.plugins), scene.more), catalogue(*scene.contracts), host(world))


def with_more(world: World, more: str) -> World:
    """The world with more lines of the request."""
    return world._replace(scene=world.scene._replace(more=more + world.scene.more))


@given(strategies.worlds())
@many
def test_every_diagnostic_is_complete(world: World) -> None:
    """Each has a place, a label and a help, and there is a plan or an error."""
    result = run(world)
    for diagnostic in result.diagnostics:
        shown(diagnostic)
    assert (result.plan is None) == any(diagnostic.level == "error" for diagnostic in result.diagnostics)


@given(strategies.worlds(), st.data())
@many
def test_the_order_of_contracts_means_nothing(world: World, data: st.DataObject) -> None:
    """Byte-equal plans and diagnostics for any order of the catalogue."""
    contracts = tuple(data.draw(st.permutations(world.scene.contracts)))
    other = world._replace(scene=world.scene._replace(contracts=contracts))
    assert whole(run(world)) == whole(run(other))


@given(strategies.worlds(), st.data())
@many
def test_the_order_of_tables_means_nothing(world: World, data: st.DataObject) -> None:
    """Of contracts and of the request; only places differ."""
    scene = world.scene._replace(contracts=tuple(turned(text, data.draw) for text in world.scene.contracts))
    document = tomllib.loads(f"plugins = {strategies.quoted(list(scene.plugins))}\n{scene.more}")
    text = f"mounts.'/host' = {written(document, data.draw)}\n"
    parsed = parse_toml(text.encode(), "meter.toml")
    assert not isinstance(parsed, Diagnostic)
    requests, _ = from_document(parsed[0], Source("meter.toml", text))
    first, second = run(world), check(requests["/host"], catalogue(*scene.contracts), host(world))
    assert whole(first)[0] == whole(second)[0]
    assert without_places(first.diagnostics) == without_places(second.diagnostics)


@given(strategies.worlds(), st.data())
@many
def test_the_order_of_words_means_nothing_unless_it_is_said(world: World, data: st.DataObject) -> None:
    """Which plugins are there, why, and what each gets does not follow from the order in which they were asked."""
    plugins = tuple(data.draw(st.permutations(world.scene.plugins)))
    first, second = run(world), run(world._replace(scene=world.scene._replace(plugins=plugins)))
    if any(each.code == "W-ORDER-ASKED" for result in (first, second) for each in result.diagnostics):
        return
    assert without_places(first.diagnostics) == without_places(second.diagnostics)
    assert schemas(first) == schemas(second)
    assert reasons(first) == reasons(second)


def reasons(result: Checked) -> Any:
    """Why each instance of a plan is there, and what is not."""
    if result.plan is None:
        return None
    document = result.plan.document
    there = sorted((each["instance"], each["plugin"], each["because"]) for each in document["plugins"])
    return there, document["rejected"], document["left_out"], document["considered"]


def without_helps(diagnostics: Sequence[Diagnostic]) -> list[str]:
    """What is wrong and why. The help aside: a mount of its own takes over all words, `recommends` too."""
    documents = [{**each.to_json(), "spans": None, "edit": None, "help": None} for each in diagnostics]
    return sorted(json.dumps(document, sort_keys=True) for document in documents)


@given(strategies.worlds())
@settings(many, max_examples=200)
def test_recommendations_never_make_a_mount_fail(world: World) -> None:
    """What is sound without them is sound with them; what is not is not, and for the same reasons.

    But for configuration of what is only recommended: without recommendations nothing has it.
    """
    without, result = run(with_more(world, "recommends = false\n")), run(world)
    if without.plan is None:
        if "config." not in world.scene.more:
            assert result.plan is None
            assert without_helps(without.diagnostics) == without_helps(result.diagnostics)
        return
    assert result.plan is not None, [each.message for each in result.diagnostics]
    there = {each["instance"] for each in without.plan.document["plugins"]}
    assert there <= {each["instance"] for each in result.plan.document["plugins"]}
    asked = [each.code == "W-ORDER-ASKED" for each in without.diagnostics]
    assert sum(asked) == sum(each.code == "W-ORDER-ASKED" for each in result.diagnostics)


@given(strategies.worlds())
@many
def test_an_unrelated_contract_means_nothing(world: World) -> None:
    """A plugin that has no name in common with any other may come and go."""
    more = strategies.SINK.replace("'sink'", "'unrelated'")
    other = world._replace(scene=world.scene._replace(contracts=(more, *world.scene.contracts)))
    first, second = run(world), run(other)
    assert whole(first)[0] == whole(second)[0]
    assert [each.code for each in first.diagnostics] == [each.code for each in second.diagnostics]


@given(strategies.worlds())
@many
def test_what_was_considered_is_all_that_is_needed_to_check_again(world: World) -> None:
    """With the plugins of the plan and those that it names as considered the same backend comes out."""
    result = run(world)
    if result.plan is None:
        return
    document = result.plan.document
    names = {each["plugin"] for each in document["plugins"]} | {*document["considered"]}
    scene = world.scene
    known = catalogue(*scene.contracts).only(names)
    again = check(request(" ".join(scene.plugins), scene.more), known, host(world))
    assert again.plan is not None, json.dumps([each.to_json() for each in again.diagnostics])
    assert {**again.plan.document, "rejected": []} == {**document, "rejected": []}
