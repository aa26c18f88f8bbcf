"""Properties of the whole check over random catalogues and requests: nothing depends on an order that means nothing.

Of each order some dozens of examples; `python -m benchmarks.permutations` turns other chains about by the thousand.
"""

import json
import tomllib
from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import permutations
from meter.contracts.check import Checked, check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Assumed
from meter.contracts.language import language
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from tests import strategies
from tests.contracts.build import catalogue, head, metric, request, shown
from tests.strategies import Scene

Draw = Callable[[st.SearchStrategy[Any]], Any]
many = settings(strategies.steady, max_examples=100)
some = settings(strategies.steady, max_examples=60)


def run(scene: Scene) -> Checked:
    """Check a scene."""
    return check(request(" ".join(scene.plugins), scene.more), catalogue(*scene.contracts), Assumed())


def whole(result: Checked) -> tuple[bytes | None, list[Any]]:
    """Everything that a check says."""
    plan = None if result.plan is None else result.plan.to_bytes()
    return plan, [diagnostic.to_json() for diagnostic in result.diagnostics]


def without_places(diagnostics: Sequence[Diagnostic]) -> list[str]:
    """What diagnostics say, spans and the edits at them aside."""
    documents = [{**diagnostic.to_json(), "spans": None, "edit": None} for diagnostic in diagnostics]
    return sorted(json.dumps(document, sort_keys=True) for document in documents)


def turned(text: str, draw: Draw) -> str:
    """The same contract with the keys of every table, and the tables of its metrics, in another order."""
    document = tomllib.loads(text)
    if "metrics" in document.get("provides", {}):
        document["provides"]["metrics"] = draw(st.permutations(document["provides"]["metrics"]))
    return "".join(f"{name} = {written(document[name], draw)}\n" for name in draw(st.permutations(sorted(document))))


def written(value: Any, draw: Draw) -> str:
    """An inline TOML value with the keys of tables in any order."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            pairs = [f"'{name}' = {written(value[name], draw)}" for name in draw(st.permutations(sorted(value)))]
            return "{ " + ", ".join(pairs) + " }"
        case list():
            return "[" + ", ".join(written(entry, draw) for entry in value) + "]"
        case str():
            return f"'{value}'"
    return str(value)


@given(strategies.scenes())
@many
def test_a_check_is_total(scene: Scene) -> None:
    """A plan without errors or errors without a plan, each complete, each said once; and the same answer again."""
    result = run(scene)
    errors = [diagnostic for diagnostic in result.diagnostics if diagnostic.level == "error"]
    assert (result.plan is None) == bool(errors)
    documents = [json.dumps(shown(diagnostic), sort_keys=True) for diagnostic in result.diagnostics]
    assert len(documents) == len(set(documents))
    assert whole(result) == whole(run(scene))


@given(strategies.scenes(), st.data())
@some
def test_the_order_of_the_catalogue_means_nothing(scene: Scene, data: st.DataObject) -> None:
    """Files may be found in any order: plans and refusals are equal byte by byte."""
    contracts = data.draw(st.permutations(scene.contracts))
    assert whole(run(scene)) == whole(run(scene._replace(contracts=tuple(contracts))))


@given(strategies.scenes(), st.data())
@some
def test_the_order_of_tables_means_nothing(scene: Scene, data: st.DataObject) -> None:
    """Keys of contracts and tables of metrics may be sorted as one likes; only places differ."""
    other = tuple(turned(text, data.draw) for text in scene.contracts)
    first, second = run(scene), run(scene._replace(contracts=other))
    assert whole(first)[0] == whole(second)[0]
    assert without_places(first.diagnostics) == without_places(second.diagnostics)


@given(strategies.scenes(), st.data())
@some
def test_the_order_of_keys_in_the_mount_file_means_nothing(scene: Scene, data: st.DataObject) -> None:
    """`config` before `plugins` is the same request."""
    document = tomllib.loads(f"plugins = {strategies.quoted(list(scene.plugins))}\n{scene.more}")
    results = []
    for _ in range(2):
        text = f"mounts.'/host' = {written(document, data.draw)}\n"
        parsed = parse_toml(text.encode(), "meter.toml")
        assert not isinstance(parsed, Diagnostic)
        requests, faults = from_document(parsed[0], Source("meter.toml", text))
        assert not faults
        results.append(check(requests["/host"], catalogue(*scene.contracts), Assumed()))
    assert whole(results[0])[0] == whole(results[1])[0]
    assert without_places(results[0].diagnostics) == without_places(results[1].diagnostics)


def schemas(result: Checked) -> dict[str, Any] | None:
    """What each instance gives and each output gets."""
    if result.plan is None:
        return None
    document = result.plan.document
    outputs = {each["instance"] for each in document["plugins"] if each["role"] == "output"}
    return {
        "outputs": {label: metrics for label, metrics in document["schema"].items() if label in outputs},
        "emits": {each["instance"]: each["emits"] for each in document["plugins"]},
        "rules": {each["instance"]: each["rules"] for each in document["plugins"]},
        "config": {each["instance"]: each["config"] for each in document["plugins"]},
        "edges": document["edges"],
        "rejected": document["rejected"],
    }


@given(strategies.scenes(), st.data())
@many
def test_the_order_of_plugins_means_nothing_unless_it_is_said(scene: Scene, data: st.DataObject) -> None:
    """Without W-ORDER-ASKED, permuting `plugins` changes neither schemas nor edges nor diagnostics, spans aside."""
    first = run(scene)
    second = run(scene._replace(plugins=tuple(data.draw(st.permutations(scene.plugins)))))
    asked = ["W-ORDER-ASKED" in {diagnostic.code for diagnostic in each.diagnostics} for each in (first, second)]
    assert asked[0] == asked[1]
    if asked[0]:
        return
    assert without_places(first.diagnostics) == without_places(second.diagnostics)
    assert schemas(first) == schemas(second)


@given(strategies.scenes())
@many
def test_the_order_is_the_least_that_the_edges_allow(scene: Scene) -> None:
    """Of the instances free at one time the least by placement and position goes first; placement is never broken."""
    result = run(scene)
    if result.plan is None:
        return
    document = result.plan.document
    placements = {each["instance"]: each["placement"] for each in document["plugins"]}
    ranks = [language().rank("placement", placements[label]) for label in document["order"]]
    assert ranks == sorted(ranks)
    graph: Any = nx.DiGraph()
    graph.add_nodes_from(document["order"])
    graph.add_edges_from((edge["from"], edge["to"]) for edge in document["edges"])
    asked = {label: place for place, label in enumerate(scene.plugins)}
    if set(asked) != set(document["order"]):
        return  # what was pulled in ranks by its reason, which the plan tells in words
    key = {label: (language().rank("placement", placements[label]), asked[label]) for label in asked}
    assert document["order"] == list(nx.lexicographical_topological_sort(graph, key=key.__getitem__))


@given(strategies.scenes(), st.integers(0, 8))
@many
def test_an_unrelated_plugin_reorders_nothing(scene: Scene, place: int) -> None:
    """Adding a source that nobody reads by name moves no other instance, wherever it is asked."""
    extra = head("zz", "source") + metric("zz.zz", more='attributes = { only = ["here"] }', kind="gauge", unit="1")
    before = run(scene)
    plugins = (*scene.plugins[:place], "zz", *scene.plugins[place:])
    after = run(scene._replace(contracts=(*scene.contracts, extra), plugins=plugins))
    if before.plan is None or after.plan is None:
        return
    assert [label for label in after.plan.document["order"] if label != "zz"] == before.plan.document["order"]


def test_made_chains_do_not_depend_on_the_order_of_anything() -> None:
    """The short run of `python -m benchmarks.permutations`: no difference; of its chains many are sound."""
    result = permutations.measured(25, seed=5)
    assert [(each.number, each.kind, each.what) for each in result.differences] == []
    assert sum(result.permutations.values()) == 25 * 3 * permutations.EACH
    assert result.sound > 5


def test_a_difference_is_noticed() -> None:
    """Of two results the part that is not the same is told, and what of a list the other has not."""
    one: dict[str, object] = {"plan": "a", "diagnostics": ["x", "y"]}
    assert permutations.differing(one, one) == ""
    assert "plan" in permutations.differing(one, {**one, "plan": "b"})
    assert "['y']" in permutations.differing(one, {**one, "diagnostics": ["x"]})
