"""Which cgroups the source `cgroup` takes, and what their paths say they are of."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.diagnostics import ContractError
from meter.contracts.host import Assumed
from meter.core.backend import Backend
from meter.core.discovery import discover
from meter.core.workloads import workload
from tests.fake import SECOND
from tests.plugins.cgroups import CPU, Tree, values

ID = "0123456789abcdef" * 4
UID = "2b801b7a-5266-4386-864e-45ed71136539"


@pytest.mark.parametrize(
    ("paths", "code"),
    [
        (["/,/*"], "E-CONFIG-REFUSED"),
        (["/", "/*"], ""),
        (["/a,b"], ""),  # a name may have one
    ],
)
def test_several_paths_in_one_text_are_refused(paths: list[str], code: str) -> None:
    """Else they would be one pattern, which selects nothing."""
    found = []
    try:
        Backend("/x").add("cgroup", paths=paths).add("collect").mounted()
    except ContractError as error:
        found = [(each.code, each.facts["why"]) for each in error.diagnostics]
    told = "`paths` has '/,/*', which is one path: say 'paths=/' 'paths=/*' in a command, [\"/\", \"/*\"] in a file"
    assert found == [(code, told)] * bool(code)


def test_no_cgroups_are_mounted(tmp_path: Path) -> None:
    """The start says where they were looked for."""
    tree = Tree(tmp_path)

    with pytest.raises(FileNotFoundError, match="no cgroups are mounted below /sys/fs/cgroup"):
        tree.mount()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/*", {"/a", "/b"}),
        ("/a", {"/a"}),
        ("a/", {"/a"}),
        ("/a/*", {"/a/x", "/a/y"}),
        ("/?/x", {"/a/x", "/b/x"}),
        ("/**", {"/a", "/b", "/a/x", "/a/y", "/a/x/deep", "/b/x"}),
        ("/a/**", {"/a/x", "/a/y", "/a/x/deep"}),
        ("/**/deep", {"/a/x/deep"}),
        ("/**/x", {"/a/x", "/b/x"}),
        ("/", {"/"}),
        ("/c*", set()),
    ],
)
def test_paths_select(tree: Tree, asked: str, found: set[str]) -> None:
    """A pattern goes name by name; the default takes none that lies in another."""
    for path in ("/", "/a", "/b", "/a/x", "/a/y", "/a/x/deep", "/b/x"):
        tree.write(path, pids_current="1\n")

    assert set(values(tree.mount(asked), SECOND, "container.thread.count")) == found


def test_no_sum_over_cgroups_passes_the_check() -> None:
    """One cgroup may lie in another, so the check refuses what would count twice."""
    words = ["cgroup", "aggregate", f"metrics={CPU}", "over=consumer", "function=sum", "jsonl", "path=x.jsonl"]
    asked, wrong = from_words("/sum", words, ["meter", "mount", "/sum"])
    assert asked is not None, wrong

    result = check(asked, discover(installed=False).catalogue, Assumed())

    assert [each.code for each in result.diagnostics] == ["E-FLOW-DOUBLE"]


@pytest.mark.parametrize(
    ("path", "manager", "id_", "part"),
    [
        ("/slurm/uid_1000/job_7", "slurm", "7", "all"),
        ("/slurm_node1/uid_1000/job_7/step_batch/task_0", "slurm", "7", "batch"),
        ("/system.slice/slurmstepd.scope/job_7/step_0/user/task_0", "slurm", "7", "0"),
        ("/system.slice/node1_slurmstepd.scope/job_7/step_extern", "slurm", "7", "extern"),
        (f"/kubepods/burstable/pod{UID}", "kubernetes", UID, "all"),
        (f"/kubepods/pod{UID}/{ID}", "kubernetes", UID, ID),
        (
            f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{ID}.scope",
            "kubernetes",
            UID,
            ID,
        ),
        (f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{ID[:32]}.slice", "kubernetes", ID[:32], "all"),
        ("/oar/jane.doe2_123", "oar", "123", "all"),
        ("/oar.slice/oar-u1000.slice/oar-u1000-j123.slice", "oar", "123", "all"),
        (f"/docker/{ID}", "container", ID, "all"),
        (f"/machine.slice/libpod-{ID}.scope/container", "container", ID, "all"),
        ("/system.slice/ssh.service", "systemd", "ssh.service", "all"),
        ("/user.slice/user-0.slice/session-1.scope", "systemd", "session-1.scope", "all"),
        ("/system.slice/web.service/worker/1", "systemd", "web.service", "worker/1"),
        ("/", "none", "/", "all"),
        ("/job_7/step_0", "none", "/job_7/step_0", "all"),
    ],
)
def test_who_made_a_cgroup(path: str, manager: str, id_: str, part: str) -> None:
    """The path says it."""
    assert workload(path) == (manager, id_, part)


@given(st.lists(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1), max_size=5))
def test_every_path_is_of_something(names: list[str]) -> None:
    """No word of a workload is empty: attributes have values."""
    assert all(workload("/" + "/".join(names)))


def test_series_say_what_a_cgroup_is_of(tree: Tree) -> None:
    """Every metric does, from the source itself: no other plugin has to stand behind it, whatever the manager is."""
    tree.write("/slurm/uid_1/job_7", pids_current="3\n")
    tree.cpu("/slurm/uid_1/job_7", 0)
    mounted = tree.mount("/slurm/*/*", names=True)

    rows = [*mounted.rows(SECOND), *mounted.rows(2 * SECOND)]
    of = {
        (key.consumer, *(pair for pair in key.attributes if "workload" in pair[0]))
        for row in rows
        for key in row[0].keys
    }

    assert of == {
        (
            ("cgroup", "/slurm/uid_1/job_7"),
            ("workload.id", "7"),
            ("workload.manager", "slurm"),
            ("workload.part", "all"),
        )
    }
