"""Hostile input: texts and requests that are made to take time or memory; each has an answer, soon.

Each case runs in a process of its own, so that its memory is its own. It is read, or checked, to the end: the answer
is the diagnostics in the form in which they leave the checker. The same cases, small, are tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.figure import Figure, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from meter.contracts.diagnostics import Diagnostic

SECONDS: Final = 5.0
"""The bar of each case."""
MEBIBYTES: Final = 512
"""A case that takes more memory than this has missed, too."""
KILLED_S: Final = 60.0

HEAD: Final = 'name = "x"\nversion = "1.0.0"\nplacement = "{}"\nsummary = "s"\nauthor = "a"\nlicence = "MIT"\n'
METRIC: Final = '[[provides.metrics]]\nname = "{}"\ntype = "f64"\nunit = "{}"\nkind = "gauge"\nresource = ["machine"]\n'
_RULE: Final = '[[needs.metrics]]\nmetric = "{}"\n'
SINK: Final = HEAD.format("output").replace('"x"', '"sink"')
DEEP: Final = ".".join("a" * 31)


class Case(NamedTuple):
    """What is done to a size, how large it is here and in the tests, and which codes the answer has."""

    run: Callable[[int], Sequence[Diagnostic]]
    large: int
    small: int
    codes: frozenset[str]


CASES: Final[dict[str, Case]] = {}


def case(name: str, large: int, small: int, *codes: str) -> Callable[[Callable[[int], Sequence[Diagnostic]]], None]:
    """Note a function as a case; without codes the input is sound."""

    def note(run: Callable[[int], Sequence[Diagnostic]]) -> None:
        CASES[name] = Case(run, large, small, frozenset(codes))

    return note


# ------------------------------------------------------------------------------------------------------ contract texts


def contract(name: str, large: int, small: int, make: Callable[[int], str | bytes], *codes: str) -> None:
    """A case that reads the text of a contract."""

    def run(size: int) -> Sequence[Diagnostic]:
        from meter.contracts.reader import read

        made = make(size)
        return read(made if isinstance(made, bytes) else made.encode(), "contract.toml").diagnostics

    case(name, large, small, *codes)(run)


def _list(words: Iterable[str]) -> str:
    """A TOML list of texts."""
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _source(more: str) -> str:
    return HEAD.format("source") + more


_OUT = HEAD.format("output")
contract("a file of 100 MB", 100_000_000, 2_000_000, lambda size: b"#" * size, "E-FILE")
contract("arrays in arrays", 500_000, 500, lambda size: "x = " + "[" * size + "]" * size, "E-FILE")
contract("tables in tables", 150_000, 500, lambda size: "x = " + "{a=" * size + "1" + "}" * size, "E-FILE")
contract("a key of many parts", 500_000, 500, lambda size: ".".join("a" * size) + " = 1", "E-FILE")
contract("a header of many parts", 500_000, 500, lambda size: "[" + ".".join("a" * size) + "]", "E-FILE")
contract("deep keys", 15_000, 50, lambda size: _OUT + "".join(f"x-{n}.{DEEP[:-4]} = 1\n" for n in range(size)))
contract("unknown clauses", 50_000, 300, lambda n: _OUT + "".join(f"k{i} = 1\n" for i in range(n)),
         "E-CLAUSE-UNKNOWN", "E-FILE")  # fmt: skip
contract("unknown tables", 50_000, 300, lambda n: _OUT + "".join(f"[k{i}]\n" for i in range(n)),
         "E-CLAUSE-UNKNOWN", "E-FILE")  # fmt: skip
contract("free keys", 50_000, 300, lambda size: _OUT + "".join(f"x-{n} = 1\n" for n in range(size)))
contract("a key twice", 100_000, 10, lambda size: "a = 1\n" * size, "E-FILE")
contract("arrays of tables", 100_000, 300, lambda size: _OUT + "[[x-a]]\n[[x-a.b]]\n" * (size // 2))
contract("empty metrics", 40_000, 300, lambda size: _source("[[provides.metrics]]\n" * size),
         "E-CLAUSE-MISSING", "E-FILE")  # fmt: skip
contract("many metrics", 8_000, 20, lambda size: _source("".join(METRIC.format(f"m{n}", "1") for n in range(size))))
contract("many options", 20_000, 20, lambda n: _OUT + "".join(f'[config.o{i}]\ntype = "int"\n' for i in range(n)))
contract("words that are none", 100_000, 300, lambda n: _OUT + "status = " + _list(f"w{i}" for i in range(n)),
         "E-STATUS-UNKNOWN", "E-FILE")  # fmt: skip
contract("a whole number of digits", 1_000_000, 5000, lambda size: "a = " + "1" * size, "E-FILE")
contract("a hexadecimal number", 1_000_000, 100, lambda size: "a = 0x" + "f" * size, "E-FILE")
contract("quotes behind backslashes", 500_000, 100, lambda size: 'a = "' + '\\"' * size, "E-FILE")
contract("a name without end", 1_000_000, 2000, lambda n: HEAD.format("source").replace("x", "x" * n),
         "E-CLAUSE-MISSING")  # fmt: skip
contract("a clause without end", 1_000_000, 2000, lambda size: _OUT + "k" * size + " = 1", "E-CLAUSE-UNKNOWN")
contract("a unit of parentheses", 1_000_000, 200, lambda n: _source(METRIC.format("m", "(" * n)), "E-CLAUSE-TYPE")
contract("a version of many words", 400_000, 50, lambda n: _OUT.replace("1.0.0", "1.0.0-" + "a." * n + "b"))
contract("a range of many parts", 200_000, 50, lambda size: _OUT + 'interface = "' + ">=1," * size + '<2"')
contract("a constraint of many factors", 400_000, 50, lambda size: _OUT + 'require = ["' + "1*" * size + '1 < 2"]')
contract("a constraint of many options", 80_000, 300, lambda n: _OUT + 'require = ["' + "config.a+" * n + '1 < 2"]',
         "E-CONFIG-UNKNOWN", "E-FILE")  # fmt: skip
contract("a selector of many conditions", 80_000, 50,
         lambda n: _OUT + _RULE.format("a{" + ",".join(f"a{i}=b" for i in range(n)) + "}"))  # fmt: skip
contract("a glob of many stars", 400_000, 50, lambda size: _OUT + _RULE.format("*a" * size))
contract("half a character", 1, 1, lambda size: b"# " + b"\xc3" * size, "E-FILE")
contract("a byte order mark", 1, 1, lambda size: "\ufeff" * size + _OUT, "E-FILE")
contract("a NUL byte", 1, 1, lambda size: _OUT + 'x-a = "' + "\0" * size + '"', "E-FILE")


@case("script blocks that do not end", 80_000, 300, "E-CONTRACT-MISSING")
def _blocks(size: int) -> Sequence[Diagnostic]:
    from meter.contracts.reader import read

    return read(b"# /// meter\n" * size, "plugin.py").diagnostics


# --------------------------------------------------------------------------------------------------------- mount files


def mounts(name: str, large: int, small: int, make: Callable[[int], str], *codes: str) -> None:
    """A case that reads the text of a mount file."""

    def run(size: int) -> Sequence[Diagnostic]:
        from meter.contracts.diagnostics import Diagnostic
        from meter.contracts.documents import parse_toml
        from meter.contracts.model import Source
        from meter.contracts.mount_tables import from_document

        parsed = parse_toml(make(size).encode(), "meter.toml")
        if isinstance(parsed, Diagnostic):
            return [parsed]
        document, text = parsed
        return from_document(document, Source("meter.toml", text))[1]

    case(name, large, small, *codes)(run)


TRICKS: Final = ("..", "/..", "/a/../b", "/a/./b", "//", "/a//b", "/a/", "/\\u0000", "/\\n", "/ ", "", "~", "/\\u202e",
                 "C:")  # fmt: skip
mounts("mountpoints that lead elsewhere", 1, 1,
       lambda _: "".join(f'[mounts."{name}"]\nplugins = ["cpu"]\n' for name in TRICKS), "E-MOUNT-NAME")  # fmt: skip
mounts("unknown words", 50_000, 300, lambda n: "".join(f"k{i} = 1\n" for i in range(n)), "E-CLAUSE-UNKNOWN", "E-FILE")
mounts("mounts of nothing", 40_000, 300, lambda n: "".join(f'[mounts."/m{i}"]\n' for i in range(n)),
       "E-CLAUSE-MISSING", "E-FILE")  # fmt: skip
mounts("mounts with an unknown word each", 20_000, 300,
       lambda n: "".join(f'[mounts."/m{i}"]\nplugins = ["cpu"]\nk = 1\n' for i in range(n)),
       "E-CLAUSE-UNKNOWN", "E-FILE")  # fmt: skip
mounts("names that are none", 100_000, 300, lambda n: f'mounts."/m".plugins = {_list("A" * n)}',
       "E-NAME", "E-FILE")  # fmt: skip
mounts("sound mounts", 20_000, 20, lambda n: "".join(f'[mounts."/m{i}"]\nplugins = ["cpu"]\n' for i in range(n)))
mounts("options of one plugin", 50_000, 300,
       lambda n: 'mounts."/m".plugins = ["cpu"]\n[mounts."/m".config.cpu]\n' + "".join(f"o{i} = 1\n" for i in range(n)),
       )  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- chains


def chain(name: str, large: int, small: int, make: Callable[[int], tuple[list[str], list[str]]], *codes: str) -> None:
    """A case that checks a chain: the words of a request, and the contracts of a catalogue."""

    def run(size: int) -> Sequence[Diagnostic]:
        from meter.contracts.catalogue import Catalogue
        from meter.contracts.check import check
        from meter.contracts.command_line import from_words
        from meter.contracts.host import Assumed

        words, texts = make(size)
        request, found = from_words("/hostile", words, ["mount", "/hostile"])
        return found if request is None else check(request, Catalogue.of(_files(texts)), Assumed()).diagnostics

    case(name, large, small, *codes)(run)


def _files(texts: Iterable[str]) -> list[tuple[str, str, bytes]]:
    return [(f"n{number}", f"n{number}/contract.toml", text.encode()) for number, text in enumerate(texts)]


def _named(name: str, placement: str, more: str = "") -> str:
    return HEAD.format(placement).replace('"x"', f'"{name}"') + more


def _filter(name: str, selector: str, gives: str, more: str = "") -> str:
    return _named(name, "filter", f'{more}\n[[needs.metrics]]\nmetric = "{selector}"\n{gives}\n')


def _probe(metrics: int = 1) -> str:
    return _named("probe", "source", "".join(METRIC.format(f"m{number}", "1") for number in range(metrics)))


def _names(size: int) -> list[str]:
    return [f"p{number}" for number in range(size)]


def _ring(size: int, form: str) -> tuple[list[str], list[str]]:
    """Plugins of which each names the next, the last one the first."""
    names = _names(size)
    texts = [
        _named(
            name,
            "filter",
            form.format(next=names[(number + 1) % size], rule=f'[[needs.metrics]]\nmetric = "m{number}"\n'),
        )
        for number, name in enumerate(names)
    ]
    return ["probe", *names, "sink"], [_probe(size), SINK, *texts]


def _row(size: int) -> list[str]:
    """Filters that each make a metric of what the one before gives."""
    before = ["m0", *(f"g{number}" for number in range(size))]
    return [_filter(p, before[at], f'gives = {{ name = "g{at}" }}') for at, p in enumerate(_names(size))]


chain("plugins that are not there", 10_000, 150, lambda size: (_names(size), [SINK]), "E-PLUGIN-UNKNOWN", "E-FILE")
chain("plugins that are not there, beside many", 5000, 150,
      lambda size: ([f"q{n}" for n in range(size)], [_named(name, "output") for name in _names(size)]),
      "E-PLUGIN-UNKNOWN", "E-FILE")  # fmt: skip
chain("options that a plugin has not, beside many", 5000, 150,
      lambda n: (["probe", "sink", *[f"k{i}=1" for i in range(n)]],
                 [_probe(), SINK + "".join(f'[config.o{i}]\ntype = "int"\ndefault = 1\n' for i in range(n))]),
      "E-CONFIG-UNKNOWN", "E-FILE")  # fmt: skip
chain("recommendations of what is not there", 5000, 20,
      lambda n: (["probe", *_names(n), "sink"], [_probe(), SINK, *[
          _named(p, "filter", f'recommends = {{ "no.{p}" = "*" }}\n[[needs.metrics]]\nmetric = "m0"\n')
          for p in _names(n)]]), "W-RECOMMEND-MISSING")  # fmt: skip
chain("metrics that nothing gives", 5000, 150,
      lambda n: (["probe", *_names(n), "sink"], [_probe(n), SINK, *[
          _named(p, "filter", f'[[needs.metrics]]\nmetric = "no.{p}"\n') for p in _names(n)]]),
      "E-NEED-UNMET", "E-FILE")  # fmt: skip
chain("a row of needs, and recommendations of what is not there", 5000, 20,
      lambda n: (["probe", "p0", "sink"], [_probe(), SINK, *[
          _named(p, "filter", f'needs.capabilities = {{ p{i + 1} = "*" }}\nrecommends = {{ "no.{p}" = "*" }}\n'
                              '[[needs.metrics]]\nmetric = "m0"\n') for i, p in enumerate(_names(n))],
          _named(f"p{n}", "filter", '[[needs.metrics]]\nmetric = "m0"\n')]),
      "W-RECOMMEND-MISSING")  # fmt: skip
chain("one plugin again and again", 10_000, 150, lambda size: (["probe", *["sink"] * size], [_probe(), SINK]),
      "E-DUPLICATE", "E-FILE")  # fmt: skip
chain("one plugin under many labels", 5000, 20,
      lambda size: (["probe", *[f"sink#s{n}" for n in range(size)]], [_probe(), SINK]))  # fmt: skip
chain("four thousand plugins", 4000, 20,
      lambda n: ([*_names(n), "sink"], [SINK, *[_named(p, "source", METRIC.format(f"{p}.m", "1")) for p in _names(n)]]),
      )  # fmt: skip
chain("a ring of clauses", 10_000, 20, lambda size: _ring(size, 'ordering.before = ["{next}"]\n{rule}'), "E-CYCLE")
chain("a ring of needs", 10_000, 20, lambda size: _ring(size, 'needs.capabilities = {{ {next} = "*" }}\n{rule}'))
chain("a ring of needs, one asked", 10_000, 20,
      lambda size: (["probe", "p0", "sink"], _ring(size, 'needs.capabilities = {{ {next} = "*" }}\n{rule}')[1]),
      )  # fmt: skip
chain("a ring of recommendations", 10_000, 20,
      lambda size: (["probe", "p0", "sink"], _ring(size, 'recommends = {{ {next} = "*" }}\n{rule}')[1]))  # fmt: skip
chain("a ring of metrics", 2000, 20,
      lambda n: (["probe", *_names(n), "sink"], [_probe(), SINK, *[
          _filter(f"p{i}", f"g{(i + 1) % n}", f'gives = {{ name = "g{i}" }}')
          + f'[[needs.metrics]]\nmetric = "m0"\ngives = {{ name = "g{i}" }}\n' for i in range(n)]]),
      "E-CYCLE")  # fmt: skip
chain("a row of metrics", 2500, 20,
      lambda n: (["probe", *_names(n), "sink"], [_probe(), SINK, *_row(n)]))  # fmt: skip
chain("a row of metrics that is too long", 8000, 100,
      lambda n: (["probe", *_names(n), "sink"], [_probe(), SINK, *_row(n)]), "E-FLOW-LIMIT")  # fmt: skip
chain("needs that nothing meets", 10_000, 150,
      lambda n: (["probe", *_names(n), "sink"], [_probe(), SINK, *[
          _named(p, "filter", f'needs.capabilities = {{ "no.{p}" = "*" }}\n[[needs.metrics]]\nmetric = "m0"\n')
          for p in _names(n)]]), "E-NEED-UNMET", "E-FILE")  # fmt: skip
chain("conflicts of all with all", 1000, 20,
      lambda n: (["probe", *_names(n), "sink"], [_probe(), SINK, *[
          _named(p, "filter", 'provides.capabilities.one = "1"\nconflicts = { one = "*" }\n') for p in _names(n)]]),
      "E-CONFLICT", "E-FILE")  # fmt: skip
chain("a wildcard storm", 1000, 20,
      lambda n: (["probe", *_names(n), "sink"], [_probe(), SINK, *[
          _filter(p, "*", f'gives = {{ name = "${{metric}}.{p}" }}') for p in _names(n)]]),
      "E-FLOW-LIMIT")  # fmt: skip
chain("filters that take everything from each other", 1000, 60,
      lambda n: (["probe", *_names(n), "sink"], [_probe(), SINK, *[
          _filter(p, "*", "keeps = false") for p in _names(n)]]),
      "E-FLOW-LIMIT")  # fmt: skip
chain("filters that read all of many metrics", 300, 30,
      lambda n: (["probe", *_names(n), "sink"], [_probe(8 * n), SINK, *[
          _filter(p, "*", 'gives = { name = "one", drop = ["resource"], merge = "max" }') for p in _names(n)]]),
      "E-FLOW-LIMIT")  # fmt: skip
chain("one metric in many variants", 8000, 20,
      lambda n: (["probe", "sink"], [_named("probe", "source", "".join(
          f'{METRIC.format("m", "1")}attributes = {{ a = ["v{i}"] }}\n' for i in range(n))), SINK]))  # fmt: skip
chain("one metric in variants that overlap", 8000, 20,
      lambda n: (["probe", "sink"], [_named("probe", "source", "".join(
          f'{METRIC.format("m", "1")}attributes = {{ a = ["v", "w{i}"] }}\n' for i in range(n))), SINK]),
      "E-FLOW-CLASH")  # fmt: skip
chain("one metric in many variants of two attributes", 6000, 20,
      lambda n: (["probe", "sink"], [_named("probe", "source", "".join(
          f'{METRIC.format("m", "1")}attributes = {{ a = ["v{i % 9}"], b = ["w{i}"] }}\n' for i in range(n))), SINK]),
      )  # fmt: skip
chain("one metric in many units", 8000, 20,
      lambda n: (["probe", "sink"], [_named("probe", "source", "".join(
          METRIC.format("m", f"{{u{i}}}") for i in range(n))), SINK]), "E-FLOW-CLASH")  # fmt: skip
chain("one metric of many sources", 4000, 20,
      lambda n: ([*_names(n), "sink"], [SINK, *[
          _named(p, "source", f'{METRIC.format("m", "1")}attributes = {{ a = ["{p}"] }}\n') for p in _names(n)]]),
      )  # fmt: skip
chain("one metric many times", 8000, 20,
      lambda n: (["probe", "sink"], [_named("probe", "source", METRIC.format("m", "1") * n), SINK]),
      "E-FLOW-CLASH")  # fmt: skip
chain("an output that tells many variants not apart", 4000, 20,
      lambda n: (["probe", "drops"], [_named("probe", "source", "".join(
          f'{METRIC.format("m", "1")}attributes = {{ a = ["v{i}"] }}\n' for i in range(n))),
          _named("drops", "output", '[[needs.metrics]]\nmetric = "*"\ndrop = ["b"]\n')]))  # fmt: skip
chain("outputs that claim", 4000, 20,
      lambda n: (["probe", *_names(n)], [_probe(), *[
          _named(p, "output", f'claims = ["tcp:127.0.0.1:{i}"]\n') for i, p in enumerate(_names(n))]]))  # fmt: skip
chain("a merge of many variants", 4000, 20,
      lambda n: (["probe", "merges", "sink"], [_named("probe", "source", "".join(
          f'{METRIC.format("m", "1")}attributes = {{ a = ["v{i}"], b = ["w{i}"] }}\n' for i in range(n))), SINK,
          _filter("merges", "m", 'keeps = false\ngives = { name = "n", drop = ["a"], merge = "max" }')]))  # fmt: skip
chain("a sum of many variants", 4000, 20,
      lambda n: (["probe", "sums", "sink"], [_named("probe", "source", "".join(
          f'{METRIC.format("m", "J").replace("gauge", "delta")}attributes = {{ a = ["v{i}"] }}\n'
          for i in range(n))), SINK,
          _filter("sums", "m", 'keeps = false\ngives = { name = "n", drop = ["a"], merge = "sum" }')]))  # fmt: skip
chain("templates, and needs beside them", 3000, 20,
      lambda n: (["probe", *_names(n), "sink"], [_probe(), SINK, *[
          _filter(p, "m0", f'gives = {{ name = "${{metric}}.{p}" }}') + f'[[needs.metrics]]\nmetric = "m0.{q}"\n'
          for p, q in zip(_names(n), [*_names(n)[1:], "p0"], strict=True)]]), "E-CYCLE")  # fmt: skip
chain("instances that all provide one thing, and need it", 3000, 20,
      lambda n: (["probe", *[f"p#l{i}" for i in range(n)], "sink"], [_probe(), SINK, _named(
          "p", "filter", 'provides.capabilities.one = "1"\nneeds.capabilities = {{ one = "*" }}\n'.replace(
              "{{", "{").replace("}}", "}") + '[[needs.metrics]]\nmetric = "m0"\n')]))  # fmt: skip
chain("selectors that mean nothing", 5000, 150,
      lambda n: (["probe", "sink", *[f"metrics=q{i}" for i in range(n)]], [_probe(), SINK]),
      "E-FLOW-EMPTY", "E-FILE")  # fmt: skip


@case("labels in `order` that are not there, beside many", 2500, 150, "W-ORDER-INERT")
def _strangers(size: int) -> Sequence[Diagnostic]:
    from meter.contracts.catalogue import Catalogue
    from meter.contracts.check import check
    from meter.contracts.host import Assumed
    from meter.contracts.model import Source
    from meter.contracts.mount_tables import from_document

    words, strangers = [*_names(size), "sink"], [f"q{number}" for number in range(size)]
    text = f'[mounts."/m"]\nplugins = {_list(words)}\norder = [{_list(strangers)}]\n'
    body = {"plugins": words, "order": [strangers]}
    requests, found = from_document({"mounts": {"/m": body}}, Source("meter.toml", text))
    texts = [SINK, *[_named(p, "source", METRIC.format(f"{p}.m", "1")) for p in _names(size)]]
    return [*found, *check(requests["/m"], Catalogue.of(_files(texts)), Assumed()).diagnostics]


@case("contracts beside each other whose needs nothing meets", 5000, 20, "E-NEED-UNMET")
def _beside(size: int) -> Sequence[Diagnostic]:
    from meter.contracts.catalogue import Catalogue
    from meter.contracts.together import together

    texts = [_filter(p, f"{p}.no", f'gives = {{ name = "${{metric}}.{p}" }}') for p in _names(size)]
    files = _files(texts)
    return together(Catalogue.of(files), [path for _, path, _ in files])


def measured(name: str) -> tuple[float, float, list[str]]:
    """Seconds and MiB that a case takes in a process of its own, and the codes of its answer."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.hostile", name]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    try:
        out, error = done.communicate(timeout=KILLED_S)
    except subprocess.TimeoutExpired:
        done.kill()
        done.communicate()
        return time.perf_counter() - begin, float("nan"), ["killed"]
    if done.returncode:
        raise RuntimeError(error.decode(errors="replace"))
    answer = json.loads(out)
    return answer["seconds"], answer["mebibytes"], answer["codes"]


def figures() -> Iterator[Figure]:
    """Each case: CPU seconds, with the memory that it took and the codes of the answer in the note."""
    for name, each in CASES.items():
        seconds, mebibytes, codes = measured(name)
        wrong = "" if set(codes) == each.codes else f", not {' '.join(sorted(each.codes)) or 'accepted'}"
        note = f"{mebibytes:.0f} MiB; {' '.join(codes) or 'accepted'}{wrong}"
        bar = SECONDS if not wrong and mebibytes <= MEBIBYTES else 0.0
        yield Figure(name, seconds, None, "", "s", bar, "s", note=note)


def main(name: str) -> None:
    """Run one case here and print what it took as JSON."""
    import resource

    each = CASES[name]
    begin = time.process_time()
    found = [diagnostic.to_json() for diagnostic in each.run(each.large)]
    codes = sorted({document["code"] for document in found})
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mebibytes": peak, "codes": codes, "found": len(found)}))
    sys.stdout.flush()
    os._exit(0)  # freeing all that again is not what is measured


if __name__ == "__main__":
    main(sys.argv[1])
