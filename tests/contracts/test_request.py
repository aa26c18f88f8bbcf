"""Requests: what a mount file or the words of a command line ask for."""

import shlex
import tomllib
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Assumed
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.request import Request
from meter.contracts.spans import COMMAND_LINE
from tests.contracts.build import FILE, at, catalogue, metric, output, request, requests, shown, source
from tests.strategies import steady

NAMES = ["mounts", "/h", "plugins", "config", "order", "prefer", "durability", "x-a"]
BEFORE = ["meter", "mount", "/host"]


def words(*texts: str, mountpoint: str = "/host") -> Request:
    """The request of a command line that has to be understood."""
    found, diagnostics = from_words(mountpoint, texts, BEFORE)
    assert found is not None, [d.message for d in diagnostics]
    assert not diagnostics
    return found


def told(found: Request) -> list[str]:
    """The instances of a request with their options, in one text each."""
    out = []
    for asked in found.plugins:
        options = found.config.get(asked.label, {})
        given = ",".join(f"{name}={text}" for name, value in sorted(options.items()) for text in value.raw)
        label = "" if asked.label == asked.name else f"#{asked.label}"
        out.append(asked.name + label + (f"{{{given}}}" if given else ""))
    return out


class TestWords:
    """`meter mount MOUNTPOINT PLUGIN[#label] [key=value]…`."""

    def test_options_belong_to_the_plugin_before_them(self) -> None:
        """Values given twice are a list."""
        found = words("cpu#fast", "interval=1s", "csv", "path=a=b", "tag=x", "tag=y")
        assert [(asked.name, asked.label) for asked in found.plugins] == [("cpu", "fast"), ("csv", "csv")]
        assert found.config["fast"]["interval"].raw == ("1s",)
        assert found.config["csv"]["path"].raw == ("a=b",)
        assert found.config["csv"]["tag"].raw == ("x", "y")

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("interval=1s", "E-OPTION"),
            ("=1", "E-OPTION"),
            ("CPU", "E-NAME"),
            ("cpu#", "E-NAME"),
            ("cpu#a#b", "E-NAME"),
            ("1cpu", "E-NAME"),
            ("cpu#0", "E-NAME"),  # numbers are given, not asked for
            ("cpu#a.b", "E-NAME"),
            ("é", "E-NAME"),
            ("a/b", "E-NAME"),
            ("_a", "E-NAME"),
        ],
    )
    def test_words_that_are_not_understood(self, text: str, code: str) -> None:
        """The word is the place."""
        found, (diagnostic,) = from_words("/host", [text], BEFORE)
        assert found is None
        assert diagnostic.code == code
        assert shown(diagnostic)["spans"][0]["column"] == len("meter mount /host ") + 1

    @pytest.mark.parametrize(
        ("line", "asked"),
        [
            ("a a=5 b c a b=c", ["a#0{a=5}", "b", "c", "a#1{b=c}"]),
            ("a x=1 b x=1 a x=2 b x=2", ["a#0{x=1}", "b#1{x=1}", "a#2{x=2}", "b#3{x=2}"]),  # one count for all
            ("a#a a", ["a", "a#0"]),  # a label given by hand stays
            ("a#one x=1 a#two x=1", ["a#one{x=1}", "a#two{x=1}"]),
            ("a x=1 a#two x=2", ["a{x=1}", "a#two{x=2}"]),  # its own name is free
            ("a", ["a"]),
        ],
    )
    def test_instances_without_a_label_are_numbered(self, line: str, asked: list[str]) -> None:
        """Where a plugin is asked for several times, each time with other options."""
        assert told(words(*line.split())) == asked
        again, diagnostics = requests(f"[mounts.'/host']\nplugins = {words(*line.split()).plugins[0].text.split()}")
        assert not diagnostics  # a mount file holds what was made of the words
        assert told(again["/host"])[0] == asked[0].partition("{")[0]

    @pytest.mark.parametrize(
        ("line", "code", "pointed"),
        [
            ("a a", "E-DUPLICATE", "a"),  # nothing tells them apart: a slip
            ("a x=1 a x=1", "E-DUPLICATE", "a"),
            ("a#one c a#one", "E-LABEL-CLASH", "'a#one'"),
            ("a#one b#one", "E-LABEL-CLASH", "'b#one'"),
            ("a#b b", "E-LABEL-CLASH", "b"),
        ],
    )
    def test_a_label_is_given_once(self, line: str, code: str, pointed: str) -> None:
        """The second is pointed at, the first shown."""
        found, (diagnostic,) = from_words("/host", line.split(), BEFORE)
        assert found is None
        assert (diagnostic.code, len(diagnostic.spans)) == (code, 2)
        assert at(shown(diagnostic), shlex.join([*BEFORE, *line.split()]), file=COMMAND_LINE) == pointed
        assert diagnostic.spans[1].column < diagnostic.spans[0].column

    @pytest.mark.parametrize(
        ("line", "asked"),
        [
            ("", []),
            ("  a  a=5  b c   ", ["a{a=5}", "b", "c"]),
            ("  a b=3,a=5 b , c , a=5,b=3 ", ["a{a=5,b=3}", "b", "c{a=5,b=3}"]),
            ("a a=5, b=3", ["a{a=5,b=3}"]),
            ("a k=x=y,l=", ["a{k=x=y,l=}"]),  # the first = separates
            ("a k=*{a=b,c=d e},l=1", ["a{k=*{a=b,c=d e},l=1}"]),  # braces hold a selector together
            ("a k='v, w' l=\"it's\"", ["a{k=v, w,l=it's}"]),
            ("a a=5,ax=a,ax/bx=8", ["a{a=5,ax=a,ax/bx=8}"]),
            ("a#one,", None),
            ("a,b", None),
        ],
    )
    def test_a_line_may_come_as_one_word(self, line: str, asked: list[str] | None) -> None:
        """Out of a variable, say: blanks and commas separate."""
        found, diagnostics = from_words("/host", [line], BEFORE)
        if asked is None:
            assert [diagnostic.code for diagnostic in diagnostics] == ["E-NAME"]
        else:
            assert found is not None
            assert told(found) == asked

    @pytest.mark.parametrize(
        ("line", "variant", "pointed"),
        [
            ("a =", "", "="),
            ("a k=v,w", "comma", "w"),
            ("a k=1,k=2", "twice", "k=2"),
            ("a=5 a b", "first", "a=5"),
            ("a k={v", "open", "'a k={v'"),
        ],
    )
    def test_options_of_a_line(self, line: str, variant: str, pointed: str) -> None:
        """Nothing of a line is guessed; the piece is pointed at."""
        _, (diagnostic,) = from_words("/host", [line], BEFORE)
        assert (diagnostic.code, diagnostic.variant) == ("E-OPTION", variant)
        assert at(shown(diagnostic), shlex.join([*BEFORE, line]), file=COMMAND_LINE) == pointed

    def test_an_option_name(self) -> None:
        """Behind a plugin a word with `=` has to name an option."""
        _, (diagnostic,) = from_words("/host", ["cpu", "a b=1"], BEFORE)
        assert diagnostic.code == "E-OPTION"

    def test_a_word_of_a_table_is_the_place_of_its_name(self) -> None:
        """Each word gives one name; what is wrong with one of them points at what stands behind the option."""
        given = words("mark", "attributes=a=1", "attributes=b=2").config["mark"]["attributes"]
        assert [given.locate((name,)).column for name in "ab"] == [35, 50]
        assert given.locate(("c",)) == given.locate(())
        assert [(span.column, span.length) for span in given.keys] == [(24, 10), (39, 10)]

    @pytest.mark.parametrize("name", ["/", "/host", "/a/b", "/A.b-c_d", "/ä", "/a\\/b"])
    def test_mountpoints(self, name: str) -> None:
        """A path of names."""
        assert words("cpu", mountpoint=name).mountpoint == name

    @pytest.mark.parametrize(
        ("typed", "name"),
        [
            ("/host/", "/host"),
            ("//", "/"),
            ("/host/..", "/"),
            ("/is///a//./more/complex/../complicated///issue//.", "/is/a/more/complicated/issue"),
        ],
    )
    def test_a_mountpoint_is_typed_as_loosely_as_a_path(self, typed: str, name: str) -> None:
        """It has one spelling all the same."""
        assert words("cpu", mountpoint=typed).mountpoint == name

    @pytest.mark.parametrize("name", ["", "host", "/a b", "/a\n", "/a\u2028", "/a\\b", "user:/host"])
    def test_no_mountpoints(self, name: str) -> None:
        """Anything else."""
        _, (diagnostic,) = from_words(name, ["cpu"], ["meter", "mount", name])
        assert shown(diagnostic)["code"] == "E-MOUNT-NAME"

    @given(st.lists(st.text(max_size=8), max_size=4), st.text(max_size=6))
    @steady
    def test_any_words(self, texts: list[str], mountpoint: str) -> None:
        """A request or errors, and a request can be checked."""
        found, diagnostics = from_words(mountpoint, texts, BEFORE)
        assert (found is None) == bool(diagnostics)
        for diagnostic in diagnostics:
            shown(diagnostic)
        if found is not None:
            for diagnostic in check(found, catalogue(source(), output()), Assumed()).diagnostics:
                shown(diagnostic)


GOOD = """# mounts
[mounts."/host"]
plugins = ["probe", "sink#a"]
prefer = ["probe"]
durability = "process"
order = [["a", "b"], ["c"]]
x-mine = 1
[mounts."/host".config.a]
path = "x"
"""


class TestDocument:
    """`meter.toml`."""

    def test_everything(self) -> None:
        """Each clause of a mount has its field."""
        found, diagnostics = requests(GOOD)
        assert not diagnostics
        host = found["/host"]
        assert [asked.text for asked in host.plugins] == ["probe", "sink#a"]
        assert (host.prefer, host.durability, host.order) == (("probe",), "process", (("a", "b"), ("c",)))
        assert host.config["a"]["path"].raw == "x"

    @pytest.mark.parametrize(
        ("old", "new", "code", "pointed"),
        [
            ('"/host"', '"host"', "E-MOUNT-NAME", '"host"'),
            ('"/host"', '"/host/"', "E-MOUNT-NAME", '"/host/"'),  # a file has the one spelling
            ('plugins = ["probe", "sink#a"]\n', "", "E-CLAUSE-MISSING", '"/host"'),
            ('["probe", "sink#a"]', '"probe"', "E-CLAUSE-TYPE", '"probe"'),
            ('["probe", "sink#a"]', '["probe", 1]', "E-CLAUSE-TYPE", "1"),
            ('"sink#a"', '"sink a"', "E-NAME", '"sink a"'),
            ("prefer", "prefers", "E-CLAUSE-UNKNOWN", "prefers"),
            ("# mounts\n", "mount = 1\n", "E-CLAUSE-UNKNOWN", "mount"),
            ('"process"', '"proces"', "E-CLAUSE-TYPE", '"proces"'),
            ('"process"', "1", "E-CLAUSE-TYPE", "1"),
            ('[["a", "b"], ["c"]]', '["a", "b"]', "E-CLAUSE-TYPE", '"a"'),
            ("x-mine = 1", "config = 1", None, ""),
            ('.config.a]\npath = "x"', ".config]\na = 1", "E-CLAUSE-TYPE", "1"),
        ],
    )
    def test_faults(self, old: str, new: str, code: str | None, pointed: str) -> None:
        """One fault, one diagnostic at the smallest place."""
        text = GOOD.replace(old, new)
        assert text != GOOD
        if code is None:
            assert isinstance(parse_toml(text.encode(), FILE), Diagnostic)
            return
        found, diagnostics = requests(text)
        assert [code] == [diagnostic.code for diagnostic in diagnostics]
        assert pointed == at(shown(diagnostics[0]), text)
        assert bool(found) == (pointed == "mount")

    def test_near_names(self) -> None:
        """A slip is answered with what was meant."""
        (diagnostic,) = requests(GOOD.replace("prefer", "prefers"))[1]
        assert "did you mean `prefer`?" in diagnostic.help

    @pytest.mark.parametrize("text", ["mounts = 1", 'mounts = ["/host"]', '[mounts]\n"/host" = 1', "[[mounts]]\na = 1"])
    def test_mounts_of_other_types(self, text: str) -> None:
        """A mount is a table in a table."""
        found, diagnostics = requests(text)
        assert not found
        assert [d.code for d in diagnostics] == ["E-CLAUSE-TYPE"]
        shown(diagnostics[0])

    def test_a_broken_mount_leaves_the_others(self) -> None:
        """Each mount is judged for itself."""
        found, diagnostics = requests('[mounts."/a"]\nplugins = 1\n[mounts."/b"]\nplugins = []\n')
        assert list(found) == ["/b"]
        assert len(diagnostics) == 1

    @given(
        st.recursive(
            st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
            lambda below: (
                st.lists(below, max_size=3)
                | st.dictionaries(
                    st.sampled_from(NAMES),
                    below,
                )
            ),
            max_leaves=8,
        )
    )
    @steady
    def test_any_document(self, value: object) -> None:
        """Requests or complete diagnostics, whatever the types."""
        document = value if isinstance(value, dict) else {"mounts": value}
        for shape in (document, {"mounts": document}, {"mounts": {"/h": document}}):
            found, diagnostics = from_document(shape, Source(FILE, ""))
            for diagnostic in diagnostics:
                shown(diagnostic)
            for each in found.values():
                check(each, catalogue(source(), output()), Assumed())


class TestDigest:
    """A digest tells requests apart, wherever they were written."""

    def test_layout_does_not_count(self) -> None:
        """Comments, order of keys and free keys are not the request."""
        other = (
            '[mounts]\n"/host" = { config = { a = { path = "x" } }, order = [["a", "b"], ["c"]], '
            'durability = "process", prefer = ["probe"], plugins = ["probe", "sink#a"] }'
        )
        assert tomllib.loads(other)
        assert requests(GOOD)[0]["/host"].digest() == requests(other)[0]["/host"].digest()

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('"probe", "sink#a"', '"sink#a", "probe"'),
            ('path = "x"', 'path = "y"'),
            ("process", "power"),
            ('["a", "b"], ["c"]', '["a", "b"]'),
        ],
    )
    def test_content_counts(self, old: str, new: str) -> None:
        """Everything that a plan depends on."""
        assert requests(GOOD)[0]["/host"].digest() != requests(GOOD.replace(old, new))[0]["/host"].digest()

    def test_words_are_digested(self) -> None:
        """Also those of a command line."""
        assert words("cpu", "a=1").digest() == words("cpu", "a=1").digest() != words("cpu", "a=2").digest()
        assert request("cpu").digest() == words("cpu").digest()


class TestOptionsOfTheCommandLine:
    """What options of `meter mount` say is what the words of a mount file say."""

    LINE: Final = (
        *(
            "meter",
            "mount",
            "--optional",
            "nvml",
            "--optional",
            "interval=2s",
            "--want",
            "hw.energy",
            "--prefer",
            "rapl",
        ),
        *("--order", "annotate,dedupe", "--durability", "process", "--no-recommends", "/host"),
    )
    ASKS: Final = {
        "optional": [3, 5],
        "want": [7],
        "prefer": [9],
        "order": [11],
        "durability": [13],
        "recommends": [14],
    }

    def test_they_are_the_same_request(self) -> None:
        """But for how values of options are written."""
        found, diagnostics = from_words("/host", ["cpu"], self.LINE, self.ASKS)
        assert found is not None
        assert not diagnostics
        more = """
            optional = ["nvml"]
            want = ["hw.energy"]
            prefer = ["rapl"]
            order = [["annotate", "dedupe"]]
            durability = "process"
            recommends = false
        """
        written = request("cpu", more)
        for word in ("plugins", "optional", "want", "prefer", "order", "durability", "recommends"):
            assert getattr(found, word) == getattr(written, word)
        assert found.config["nvml"]["interval"].raw == ("2s",)

    @pytest.mark.parametrize(
        ("word", "text", "code"),
        [
            ("optional", "NVML", "E-NAME"),
            ("optional", "interval=2s", "E-OPTION"),
            ("want", "hw.*", "E-NAME"),
            ("durability", "proces", "E-CLAUSE-TYPE"),
        ],
    )
    def test_what_is_none_is_pointed_at(self, word: str, text: str, code: str) -> None:
        """The value of the option."""
        before = ["meter", "mount", f"--{word}", text, "/host"]
        found, (fault,) = from_words("/host", ["cpu"], before, {word: [3]})
        assert (found, fault.code) == (None, code)
        assert at(shown(fault), shlex.join([*before, "cpu"]), file=COMMAND_LINE) == shlex.quote(text)

    def test_what_the_check_finds_is_pointed_at(self) -> None:
        """A wish, and a word of `order`, at their options."""
        before = ["meter", "mount", "--want", "hw.energy", "--order", "probe,sinc", "/host"]
        found, _ = from_words("/host", ["probe", "sink"], before, {"want": [3], "order": [5]})
        assert found is not None
        checked = check(found, catalogue(source(), output()), Assumed())
        [unmet] = [shown(each) for each in checked.diagnostics]
        assert at(unmet, shlex.join([*before, "probe", "sink"]), file=COMMAND_LINE) == "hw.energy"
        giving = source("rapl", metric("hw.energy"))
        checked = check(found, catalogue(source(), output(), giving), Assumed())
        [inert] = [shown(each) for each in checked.diagnostics]
        assert inert["code"] == "W-ORDER-INERT"
        assert at(inert, shlex.join([*before, "probe", "sink"]), file=COMMAND_LINE) == "probe,sinc"
