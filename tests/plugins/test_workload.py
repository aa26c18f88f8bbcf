"""The postfilter `workload`: what the paths of cgroups say."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing
from meter.core.readings import Row
from meter.core.workloads import told
from tests.plugins.chain import METRIC, PLUGINS, Chain, checked, refusals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ID = "0123456789abcdef" * 4
UID = "2b801b7a-5266-4386-864e-45ed71136539"
METRICS = [METRIC.format(name=name, type_="f64", unit="s", kind="delta", attributes="{}") for name in ("t", "u")]
SLURM = "/slurm/uid_1000/job_7/step_0"
CONTRACT = tomllib.loads((PLUGINS / "workload" / "contract.toml").read_text())
OFFERED = set(CONTRACT["config"]["attributes"]["values"])
POD = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"


def chain(*attributes: str, pods: Path | None = None) -> Chain:
    """`workload` with some attributes behind a source of the metrics `t` and `u`."""
    words = [f"attributes={name}" for name in attributes]
    return Chain(METRICS, "workload", *words, *([f"pods={pods}"] if pods else []))


def shown(mounted: Chain, cgroups: Mapping[str, Any], metric: str = "t") -> dict[str, Any]:
    """The value or reason of each series, by its name, of one row of some cgroups."""
    keys = [mounted.declared.key(metric, None, path, "machine", "cgroup") for path in cgroups]
    blocks = mounted.blocks([Row(mounted.columns(*keys), 2, 1, list(cgroups.values()))])
    return {
        ",".join([key.consumer[1], *(f"{name}={text}" for name, text in key.attributes)]): (
            value.reason if isinstance(value, Missing) else value
        )
        for block in blocks
        for _, key, value in block.points()
    }


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (SLURM, {"slurm.job.id": "7", "slurm.job.step": "0", "user.id": "1000"}),
        ("/slurm_n1/uid_5/job_7", {"slurm.job.id": "7", "user.id": "5"}),
        (
            "/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0",
            {
                "slurm.job.id": "7",
                "slurm.job.step": "batch",
                "systemd.unit.name": "slurmstepd.scope",
                "systemd.slice.name": "system.slice",
            },
        ),
        (f"/kubepods/burstable/pod{UID}/{ID}", {"k8s.pod.uid": UID, "container.id": ID}),
        (f"/kubepods/pod{UID}", {"k8s.pod.uid": UID}),
        (
            f"{POD}/cri-containerd-{ID}.scope",
            {
                "k8s.pod.uid": UID,
                "container.id": ID,
                "systemd.unit.name": f"cri-containerd-{ID}.scope",
                "systemd.slice.name": POD.rpartition("/")[2],
            },
        ),
        ("/oar/jane.doe_123", {"oar.job.id": "123", "user.name": "jane.doe"}),
        (
            "/oar.slice/oar-u1000.slice/oar-u1000-j123.slice",
            {
                "oar.job.id": "123",
                "user.id": "1000",
                "systemd.unit.name": "oar-u1000-j123.slice",
                "systemd.slice.name": "oar-u1000-j123.slice",
            },
        ),
        (f"/docker/{ID}", {"container.id": ID}),
        (
            f"/machine.slice/libpod-{ID}.scope/container",
            {
                "container.id": ID,
                "systemd.unit.name": f"libpod-{ID}.scope",
                "systemd.slice.name": "machine.slice",
            },
        ),
        (
            "/user.slice/user-0.slice/session-1.scope",
            {"systemd.unit.name": "session-1.scope", "systemd.slice.name": "user-0.slice"},
        ),
        ("/system.slice/web.service/worker",
         {"systemd.unit.name": "web.service", "systemd.slice.name": "system.slice"}),
        ("/a/b", {}),
        ("/", {}),
        ("unknown", {}),
    ],
)  # fmt: skip
def test_what_a_path_says(path: str, said: dict[str, str]) -> None:
    """By the names of OpenTelemetry where there are some; what it does not say is not there."""
    own = told(path)

    assert {name: text for name, text in own.items() if not name.startswith("workload.")} == said
    assert {"workload.manager", "workload.id", "workload.part"} <= own.keys()


@given(st.lists(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1), max_size=5))
def test_every_attribute_that_is_told_can_be_asked_for(names: list[str]) -> None:
    """None of them is empty, and the option lists them."""
    said = told("/" + "/".join(names))

    assert all(said.values())
    assert said.keys() <= OFFERED


class TestSeries:
    """What becomes of them."""

    def test_each_has_the_attributes_that_are_asked_for(self) -> None:
        """And no others; one that a cgroup does not have is empty, so that all series have the same."""
        assert shown(chain("slurm.job.id", "k8s.pod.uid"), {SLURM: 1.5, POD: 2.5, "/a": 3.5}) == {
            f"{SLURM},k8s.pod.uid=,slurm.job.id=7": 1.5,
            f"{POD},k8s.pod.uid={UID},slurm.job.id=": 2.5,
            "/a,k8s.pod.uid=,slurm.job.id=": 3.5,
        }

    def test_what_is_of_no_cgroup_stays_as_it_was(self) -> None:
        """Jobs are never written to what is of everybody, as Alumet's `involved_jobs` are."""
        mounted = chain("slurm.job.id")
        key = mounted.declared.key("t", None, None, "machine", "machine")

        (block,) = mounted.blocks([Row(mounted.columns(key), 2, 1, [1.0])])

        assert list(block.layout.keys) == [key]

    def test_nothing_else_changes(self) -> None:
        """Values are the same arrays; missing cells stay so, with their reasons."""
        mounted = chain("workload.id")
        keys = [mounted.declared.key(name, None, SLURM, "machine", "cgroup") for name in ("t", "u")]
        row = Row(mounted.columns(*keys), 2, 1, [1.5, Missing("EIO")])

        (block,) = mounted.blocks([row])

        assert [key.metric.name for key in block.layout.keys] == ["t", "u"]
        assert [(key.metric.unit, key.metric.kind, key.metric.quality) for key in block.layout.keys] == [
            ("s", "delta", "measured")
        ] * 2
        cells = [value.reason if isinstance(value, Missing) else value for _, _, value in block.points()]
        assert cells == [1.5, "EIO"]


class TestPods:
    """Namespace and name, which stand in no path."""

    @pytest.fixture
    def pods(self, tmp_path: Path) -> Path:
        """The kubelet's folder of logs, with one pod and things that are none."""
        for name in (f"shop_cart-7d9f_{UID}", "x_y", "lost+found"):
            (tmp_path / "pods" / name).mkdir(parents=True)
        return tmp_path / "pods"

    def test_they_are_those_of_the_folder_of_its_logs(self, pods: Path) -> None:
        """By its uid; another pod has none there."""
        other = f"/kubepods/pod{'0' * 32}"

        assert shown(chain("k8s.namespace.name", "k8s.pod.name", pods=pods), {POD: 1.0, other: 2.0, "/a": 3.0}) == {
            f"{POD},k8s.namespace.name=shop,k8s.pod.name=cart-7d9f": 1.0,
            f"{other},k8s.namespace.name=,k8s.pod.name=": 2.0,
            "/a,k8s.namespace.name=,k8s.pod.name=": 3.0,
        }

    def test_one_that_comes_later_is_found(self, pods: Path) -> None:
        """When it is first seen."""
        mounted = chain("k8s.pod.name", pods=pods)
        shown(mounted, {POD: 1.0})
        (pods / f"shop_late_{ID[:32]}").mkdir()

        assert shown(mounted, {f"/kubepods/pod{ID[:32]}": 1.0}, "u") == {
            f"/kubepods/pod{ID[:32]},k8s.pod.name=late": 1.0
        }

    def test_without_the_folder_they_are_empty(self, tmp_path: Path) -> None:
        """No error: most machines have none."""
        assert shown(chain("k8s.pod.name", pods=tmp_path / "none"), {POD: 1.0}) == {f"{POD},k8s.pod.name=": 1.0}


class TestCheck:
    """What is refused when it is mounted."""

    @pytest.mark.parametrize(
        ("words", "codes"),
        [
            (["workload"], ["E-CONFIG-MISSING"]),
            (["workload", "attributes=slurm.job"], ["E-CONFIG-RANGE"]),
            # `t` is of the machine, too
            (["workload", "attributes=slurm.job.id", "metrics=t"], ["E-FLOW-IDENTITY"]),
            (["workload", "attributes=slurm.job.id", "metrics=t{consumer=cgroup}"], []),
            (["annotate", "attributes=slurm.job.id=7", "workload", "attributes=slurm.job.id"], ["E-FLOW-IDENTITY"]),
        ],
    )
    def test_what_makes_no_sense_is(self, words: Sequence[str], codes: Sequence[str]) -> None:
        """An unknown attribute, what has no cgroup, an attribute that is there already."""
        assert refusals(METRICS, *words) == codes

    @pytest.mark.parametrize("words", [["select", "drop=u"], ["dedupe"]])
    def test_it_comes_before_what_leaves_out(self, words: Sequence[str]) -> None:
        """Whichever was asked for first, and nobody has to say so."""
        gauges = [METRIC.format(name=name, type_="f64", unit="1", kind="gauge", attributes="{}") for name in "tu"]
        asked = ["workload", "attributes=slurm.job.id"]

        for sentence in ([*asked, *words], [*words, *asked]):
            found = checked(gauges, *sentence)
            assert {each.code for each in found.diagnostics} == {"W-CLAUSE-MISSING"}  # of the made source
            order = found.require().document["order"]
            assert order.index("workload") < order.index(words[0])
