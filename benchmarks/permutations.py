"""Permutations: what must not depend on the order of anything, over random chains; `python -m benchmarks.permutations`.

Each chain is checked once as it is and, four times each, with contracts, tables and keys in another order and with
another order of `plugins`. The first kind has to give the same plan byte by byte and the same diagnostics but for
their places; files alone in another order the same places, too. The second has to give the same schemas, edges and
diagnostics, unless the check says W-ORDER-ASKED. Ends with 1 if anything differs, and prints what.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks import scenes, toml
from benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.scenes import Scene
    from meter.contracts.check import Checked

CHAINS: Final = 3000
FEWER: Final = 300
"""As many are tried where all benchmarks run."""
EACH: Final = 4
SHOWN: Final = 3
"""Chains with a difference that are printed."""


class Difference(NamedTuple):
    """A chain that did not give the same, and what about it was other."""

    number: int
    kind: str
    what: str
    scene: Scene


class Result(NamedTuple):
    """What was tried and what came of it."""

    chains: int
    sound: int
    asked: int
    permutations: Counter[str]
    codes: Counter[str]
    uses: Counter[str]
    differences: list[Difference]


def whole(result: Checked, *, places: bool) -> dict[str, Any]:
    """All that a check says, with or without the places of diagnostics."""
    plan = None if result.plan is None else result.plan.to_bytes().decode()
    return {"plan": plan, "diagnostics": said(result, places=places)}


def said(result: Checked, *, places: bool) -> list[str]:
    """The diagnostics; without places in the order of their texts."""
    documents = [diagnostic.to_json() for diagnostic in result.diagnostics]
    if places:
        return [json.dumps(document, sort_keys=True) for document in documents]
    plain = [{name: entry for name, entry in each.items() if name not in _PLACED} for each in documents]
    return sorted(json.dumps(document, sort_keys=True) for document in plain)


_PLACED: Final = ("spans", "edit")


def schemas(result: Checked) -> dict[str, Any]:
    """Schemas, edges, configuration and diagnostics: what an order of `plugins` must not change."""
    found: dict[str, Any] = {"diagnostics": said(result, places=False)}
    if result.plan is None:
        return found
    document = result.plan.document
    outputs = {each["instance"] for each in document["plugins"] if each["role"] == "output"}
    for name in ("emits", "rules", "config", "because", "contract"):
        found[name] = {each["instance"]: each[name] for each in document["plugins"]}
    found["outputs"] = {label: metrics for label, metrics in document["schema"].items() if label in outputs}
    return found | {name: document[name] for name in ("edges", "rejected", "left_out", "claims")}


def differing(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Which part of two results is not the same, with the first line of each that the other has not."""
    for name in sorted({*one, *other}):
        first, second = one.get(name), other.get(name)
        if first == second:
            continue
        if isinstance(first, list) and isinstance(second, list):
            first, second = [[each for each in a if each not in b][:2] for a, b in ((first, second), (second, first))]
        return f"{name}: {str(first)[:600]}\n    not {str(second)[:600]}"
    return ""


def tried(number: int, seed: int, result: Result) -> Result:
    """Add one chain to a result."""
    rng = Random(f"{seed}:{number}")
    scene = scenes.scene(rng)
    first = scenes.run(scene)
    codes = {diagnostic.code for diagnostic in first.diagnostics}
    result.codes.update(codes)
    result.uses.update(scene.uses())
    files = list(range(len(scene.contracts)))
    for _ in range(EACH):
        rng.shuffle(files)
        with_places = differing(whole(first, places=True), whole(scenes.run(scene, order=files), places=True))
        _note(result, number, "files", with_places, scene)
        turned = _metrics_turned(scene, rng)
        without = differing(whole(first, places=False), whole(scenes.run(turned, rng, files), places=False))
        _note(result, number, "tables", without, turned)
        words = list(scene.request["plugins"])
        rng.shuffle(words)
        other = scene._replace(request={**scene.request, "plugins": words})
        second = scenes.run(other)
        asked = ["W-ORDER-ASKED" in {diagnostic.code for diagnostic in each.diagnostics} for each in (first, second)]
        if asked[0] != asked[1]:
            _note(result, number, "plugins", f"W-ORDER-ASKED in one of {scene.request['plugins']} and {words}", other)
        else:
            _note(result, number, "plugins", "" if asked[0] else differing(schemas(first), schemas(second)), other)
    return result._replace(
        chains=result.chains + 1,
        sound=result.sound + (first.plan is not None),
        asked=result.asked + ("W-ORDER-ASKED" in codes),
    )


def _metrics_turned(scene: Scene, rng: Random) -> Scene:
    """The same contracts with their tables of metrics in another order."""
    contracts = []
    for contract in scene.contracts:
        if "metrics" in contract.get("provides", {}):
            metrics = list(contract["provides"]["metrics"])
            rng.shuffle(metrics)
            contracts.append({**contract, "provides": {**contract["provides"], "metrics": metrics}})
        else:
            contracts.append(contract)
    return scene._replace(contracts=tuple(contracts))


def _note(result: Result, number: int, kind: str, what: str, scene: Scene) -> None:
    result.permutations[kind] += 1
    if what:
        result.differences.append(Difference(number, kind, what, scene))


def measured(chains: int, seed: int, first: int = 0) -> Result:
    """Try so many chains."""
    result = Result(0, 0, 0, Counter(), Counter(), Counter(), [])
    for number in range(first, first + chains):
        result = tried(number, seed, result)
    return result


def figures() -> Iterator[Figure]:
    """How many permutations of each kind made a difference."""
    result = measured(FEWER, 1)
    counted = Counter(difference.kind for difference in result.differences)
    for kind, count in sorted(result.permutations.items()):
        note = f"of {count:,}, {result.chains:,} chains of which {result.sound:,} are sound"
        yield Figure(f"permutations of {kind} that matter", counted[kind], None, "", "", 0, "", note=note)


def table(result: Result) -> Iterator[str]:
    """The lines that are printed."""
    yield f"{'chains':<24} {result.chains:>8,}"
    yield f"{'  with a plan':<24} {result.sound:>8,}"
    yield f"{'  with W-ORDER-ASKED':<24} {result.asked:>8,}"
    counted = Counter(difference.kind for difference in result.differences)
    yield f"{'permutations of':<24} {'tried':>8} {'differ':>8}"
    for kind, count in sorted(result.permutations.items()):
        yield f"{'  ' + kind:<24} {count:>8,} {counted[kind]:>8,}"
    yield f"{'chains that use':<24} {'':>8}   and that say"
    uses, codes = (
        [f"{count:>8,}  {name}" for name, count in each.most_common()] for each in (result.uses, result.codes)
    )
    for place in range(max(len(uses), len(codes))):
        left, right = (each[place] if place < len(each) else "" for each in (uses, codes))
        yield f"{left:<32} {right}".rstrip()
    for difference in result.differences[:SHOWN]:
        yield f"\nchain {difference.number}, {difference.kind}: {difference.what}"
        yield toml.document(difference.scene.request)
        yield from (toml.document(contract) for contract in difference.scene.contracts)


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; 1 if there is a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.permutations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--chains", type=int, default=CHAINS, metavar="N", help=f"how many; {CHAINS} if it is not said")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="other chains for another number")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the number of the first chain")
    arguments = parser.parse_args(words)
    result = measured(arguments.chains, arguments.seed, arguments.first)
    print("\n".join(table(result)))
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
