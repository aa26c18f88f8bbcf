"""What was meant by a wrong word in a request or a contract: the edit writes it, and the place is that word alone."""

from __future__ import annotations

import pytest

from meter.contracts.editing.edits import applied
from tests.contracts.build import at, codes, faults, head, metric, one, output, requests, run, said, source

MODES = 'attributes = { mode = ["user", "system"], site = "str" }\n'
PROBE = source(
    "probe",
    metric("cpu.time", kind="delta", unit="s", more=MODES),
    metric("cpu.load"),
    more="[config.interval]\ntype = 'duration'\ndefault = '1s'\nmin = '1ms'\n[config.how]\ntype = 'enum'\n"
    "values = ['fast', 'slow']\ndefault = 'fast'\n"
    "[config.room]\ntype = 'size'\ndefault = '1MB'\n[config.limit]\ntype = 'quantity(W)'\n"
    "default = '1 W'\n[config.unit]\ntype = 'unit'\ndefault = 'J'\n[config.few]\ntype = 'list<enum>'\n"
    "values = ['package', 'core']\ndefault = []\n",
)
SINK = output("sink")
M = "config.sink.metrics = "
F = "config.probe.few = "


def mended(more: str, code: str) -> tuple[str, str]:
    """The word that the only diagnostic points at, and the line that its edit makes of the only line of options."""
    result = run("probe sink", PROBE, SINK, more=more)
    document = one(result, code)
    text = f'[mounts."/host"]\nplugins = ["probe", "sink"]\n{more}'
    edit = result.diagnostics[0].edit
    assert edit is not None, said(result)
    new = applied(text, edit.changes)
    line = new.split("\n")[2]
    assert code not in codes(run("probe sink", PROBE, SINK, more=line))
    return at(document, text), line


@pytest.mark.parametrize(
    ("more", "code", "word", "line"),
    [
        ('config.probe.how = "fats"', "E-CONFIG-RANGE", '"fats"', 'config.probe.how = "fast"'),
        ("config.probe.how = 'fats'", "E-CONFIG-RANGE", "'fats'", "config.probe.how = 'fast'"),
        (F + '["core", "packge"]', "E-CONFIG-RANGE", '"packge"', F + '["core", "package"]'),
        ('config.probe.interval = "10 s"', "E-CONFIG-TYPE", '"10 s"', 'config.probe.interval = "10s"'),
        ('config.probe.room = "64 bytes"', "E-CONFIG-TYPE", '"64 bytes"', 'config.probe.room = "64B"'),
        ('config.probe.limit = "5 watts"', "E-CONFIG-TYPE", '"5 watts"', 'config.probe.limit = "5 W"'),
        ('config.probe.unit = "joules"', "E-CONFIG-TYPE", '"joules"', 'config.probe.unit = "J"'),
        ('config.probe.intervall = "2s"', "E-CONFIG-UNKNOWN", "intervall", 'config.probe.interval = "2s"'),
        ('config.proeb.interval = "2s"', "E-CONFIG-CLASH", "proeb", 'config.probe.interval = "2s"'),
        (M + '["*{kind=guage}"]', "E-CONFIG-TYPE", "guage", M + '["*{kind=gauge}"]'),
        (M + '["*{unit=secs}"]', "E-CONFIG-TYPE", "secs", M + '["*{unit=s}"]'),
        (M + '["*", "cpu.tiem"]', "E-FLOW-EMPTY", '"cpu.tiem"', M + '["*", "cpu.time"]'),
        (
            M + '["*", "cpu.tiem{mode=user}"]', "E-FLOW-EMPTY", "cpu.tiem",
            M + '["*", "cpu.time{mode=user}"]',
        ),
        (M + '["*", "!cpu.laod"]', "E-FLOW-EMPTY", "cpu.laod", M + '["*", "!cpu.load"]'),
        (
            M + '["*", "cpu.time{mdoe=user}"]', "E-FLOW-EMPTY", "mdoe",
            M + '["*", "cpu.time{mode=user}"]',
        ),
        (
            M + '["*", "cpu.time{mode=sytsem}"]', "E-FLOW-EMPTY", "sytsem",
            M + '["*", "cpu.time{mode=system}"]',
        ),
    ],
)  # fmt: skip
def test_a_word_of_the_request(more: str, code: str, word: str, line: str) -> None:
    """The nearest name, the unit as it is written, the metric that there is; its quotes and neighbours stay."""
    assert mended(more, code) == (word, line)


@pytest.mark.parametrize(
    ("more", "code", "word"),
    [
        ("config.probe.interval = 10", "E-CONFIG-TYPE", "10"),
        ('config.probe.interval = "10m"', "E-CONFIG-TYPE", '"10m"'),
        ('config.probe.interval = "1us"', "E-CONFIG-RANGE", '"1us"'),
        ('config.probe.how = "faster"', "E-CONFIG-RANGE", '"faster"'),
        (M + '["*", "gpu.*"]', "E-FLOW-EMPTY", '"gpu.*"'),
        (M + '["*", "cpu.time{kind=gauge}"]', "E-FLOW-EMPTY", '"cpu.time{kind=gauge}"'),
        (M + '["*", "cpu.time{mode=idle}"]', "E-FLOW-EMPTY", "idle"),
        (M + '["*", "cpu.time{color=idle}"]', "E-FLOW-EMPTY", "color"),
    ],
)
def test_what_could_mean_two_things_is_left(more: str, code: str, word: str) -> None:
    """No edit; the place is as small as it can be."""
    result = run("probe sink", PROBE, SINK, more=more)
    document = one(result, code)
    assert at(document, f'[mounts."/host"]\nplugins = ["probe", "sink"]\n{more}') == word
    assert document["edit"] is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('probe.interval = "2s"', 'config.probe.interval = "2s"'),
        ('[mounts."/host".probe]\ninterval = "2s"', '[mounts."/host".config.probe]\ninterval = "2s"'),
        ('"sink#a" = { path = "x" }', 'config.a = { path = "x" }'),
        ("a.path = 'x'\na.mode = 'y'", "config.a.path = 'x'\nconfig.a.mode = 'y'"),
    ],
)
def test_options_that_stand_beside_the_clauses(written: str, meant: str) -> None:
    """A plugin's name where a clause should be: its options belong below `config`."""
    head_ = '[mounts."/host"]\nplugins = ["probe", "sink#a"]\n'
    _, (fault,) = requests(head_ + written)
    assert (fault.code, fault.variant) == ("E-CLAUSE-UNKNOWN", "options")
    assert fault.edit is not None
    assert applied(head_ + written, fault.edit.changes) == head_ + meant
    assert requests(head_ + meant)[1] == []


def test_options_beside_the_clauses_where_others_are_below_config() -> None:
    """Where the file has a `config` it is said where they belong, and the file is left as it is."""
    _, (fault,) = requests('[mounts."/host"]\nplugins = ["probe"]\nprobe.interval = "2s"\nconfig = {}')
    assert fault.edit is None
    assert '`[mounts."/host".config.probe]`' in fault.help


CONTRACT = head("x", "source") + '[config.a]\ntype = "enum"\nvalues = ["fast", "slow"]\ndefault = "fast"\n' + metric(
    "x.a", unit="J", more='when = { a = ["fast", "slow"] }'
)  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('unit = "J"', 'unit = "joules"', "E-CLAUSE-TYPE"),
        ('kind = "gauge"', 'kind = "guage"', "E-CLAUSE-TYPE"),
        ('placement = "source"', 'placement = "suorce"', "E-PLACEMENT-UNKNOWN"),
        ('type = "enum"', 'type = "enmu"', "E-CLAUSE-TYPE"),
        ('resource = ["machine"]', 'resource = ["mashine"]', "E-CLAUSE-TYPE"),
        ('default = "fast"', 'default = "fats"', "E-CONFIG-RANGE"),
        ('["fast", "slow"] }', '["fast", "solw"] }', "E-CONFIG-RANGE"),
        ("provides.metrics", "provides.metircs", "E-CLAUSE-UNKNOWN"),
        ('summary = "s"', 'sumary = "s"', "E-CLAUSE-UNKNOWN"),
    ],
)
def test_a_word_of_a_contract(old: str, new: str, code: str) -> None:
    """The edit leads back to the contract as it was, wherever a key is written."""
    assert CONTRACT.count(old) == 1
    assert not faults(CONTRACT)
    text = CONTRACT.replace(old, new)
    (fault,) = faults(text)
    assert fault.code == code
    assert fault.edit is not None
    assert applied(text, fault.edit.changes) == CONTRACT


def test_a_table_with_several_headers_is_renamed_in_each() -> None:
    """A key that is written more than once has to change everywhere."""
    text = CONTRACT + metric("x.b") + metric("x.c", more='when = { a = "slow" }')
    (fault,) = faults(text.replace("provides.metrics", "provides.metrisc"))
    assert fault.edit is not None
    assert len(fault.edit.changes) == 3
    assert applied(text.replace("provides.metrics", "provides.metrisc"), fault.edit.changes) == text
