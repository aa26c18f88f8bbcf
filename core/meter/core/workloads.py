"""Which job, pod, container or unit a cgroup is of: managers of workloads say it in the path.

The one place that knows these paths. Reads nothing: a path is an argument, from the root of its hierarchy.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

WHOLE: Final = "all"
"""The part that is no part: the cgroup of the workload itself."""

_CONTAINER = r"(?:[a-z][a-z0-9-]*-)?([0-9a-f]{64})(?:\.scope)?"

# The names of steps are numbers, `batch`, `extern` and `interactive`; version 2 puts all jobs below slurmstepd.scope.
_SLURM: Final = re.compile(
    r"/(?:slurm(?:_[^/]+)?|[^/]*slurmstepd\.scope)/(?:uid_(?P<uid>\d+)/)?(?:[^/]+/)*?job_(?P<job>\d+)"
    r"(?:(?P<step>/step_([^/]+)))?(?=/|$)"
)
# The uid has `_` for `-` where systemd makes the cgroups; that of a static pod is a digest without either.
_POD: Final = re.compile(
    r"/(?:kubepods|[^/]*kubepods[^/]*\.slice)/(?:[^/]+/)*?(?:[^/]*-)?pod([0-9a-f_-]{32,36})(?:\.slice)?(?=/|$)"
)
_IN_POD: Final = re.compile(rf"/{_CONTAINER}(?=/|$)")
_OAR: Final = re.compile(
    r"/oar/(?P<user>[^/]+)_(?P<job>\d+)(?=/|$)|/oar\.slice/(?:[^/]+/)*?oar-u(?P<uid>\d+)-j(?P<named>\d+)[^/]*(?=/|$)"
)
_UNIT: Final = re.compile(r"/([^/]+\.(?:service|scope|slice|socket|mount|swap))(?=/|$)")


class Workload(NamedTuple):
    """Who made a cgroup, for what, and which part of that it is; the part `all` is the whole."""

    manager: str
    id: str
    part: str


class Place(NamedTuple):
    """Where a cgroup lies: its workload, and the paths of the cgroups of the whole workload and of the part.

    `user` is the name or number of who it runs for, where the path says that.
    """

    workload: Workload
    whole: str
    part: str
    uid: str = ""
    user: str = ""


def workload(path: str) -> Workload:
    """What a cgroup is of, by its path from the root of the hierarchy.

    Slurm: the id of the job, and its step. Kubernetes: the uid of the pod with `-`, and the id of the container. OAR:
    the id of the job. Docker, Podman and others: the id of the container. Systemd: the innermost unit, and what is
    below it. `none`: the path. What lies deeper than the names that are known is of the same part.
    """
    return place(path).workload


def place(path: str) -> Place:
    """What a cgroup is of, and which cgroups above it are those of the part and of the whole workload.

    So `/slurm/uid_1/job_7/step_0/task_3` is of the part `/slurm/uid_1/job_7/step_0` of `/slurm/uid_1/job_7`.
    """
    if found := _SLURM.search(path):
        step = found.group("step")
        whole = path[: found.start("step")] if step else path[: found.end()]
        of = Workload("slurm", found["job"], step.removeprefix("/step_") if step else WHOLE)
        return Place(of, whole, path[: found.end()], uid=found["uid"] or "")
    if found := _POD.search(path):
        inner = _IN_POD.search(path, found.end())
        of = Workload("kubernetes", found[1].replace("_", "-"), inner[1] if inner else WHOLE)
        whole = path[: found.end()]
        return Place(of, whole, path[: inner.end()] if inner else whole)
    if found := _OAR.search(path):
        whole = path[: found.end()]
        of = Workload("oar", found["job"] or found["named"], WHOLE)
        return Place(of, whole, whole, uid=found["uid"] or "", user=found["user"] or "")
    if found := _IN_POD.search(path):
        whole = path[: found.end()]
        return Place(Workload("container", found[1], WHOLE), whole, whole)
    units = list(_UNIT.finditer(path))
    if units:
        whole = path[: units[-1].end()]
        return Place(Workload("systemd", units[-1][1], path[len(whole) + 1 :] or WHOLE), whole, path)
    return Place(Workload("none", path, WHOLE), path, path)


def told(path: str) -> dict[str, str]:
    """What a path says, by the names of attributes; what it does not say is not there.

    `workload.manager`, `workload.id` and `workload.part`, of every path; `slurm.job.id` and `slurm.job.step`;
    `k8s.pod.uid`; `container.id`, of pods too; `oar.job.id`; `user.id` and `user.name` of whom a job runs for;
    `systemd.unit.name`, the innermost unit, and `systemd.slice.name`, the innermost slice. Units are told of jobs and
    containers, too: systemd has made the cgroups above them, or these.

    Source: for names, the semantic conventions of OpenTelemetry, its collector for those of systemd.
    """
    found = place(path)
    manager, id_, part = found.workload
    said = {"workload.manager": manager, "workload.id": id_, "workload.part": part}
    said |= {"user.id": found.uid, "user.name": found.user}
    if manager == "slurm":
        said |= {"slurm.job.id": id_, "slurm.job.step": part if part != WHOLE else ""}
    elif manager == "kubernetes":
        said |= {"k8s.pod.uid": id_, "container.id": part if part != WHOLE else ""}
    elif manager == "oar":
        said["oar.job.id"] = id_
    elif manager == "container":
        said["container.id"] = id_
    units = [unit[1] for unit in _UNIT.finditer(path)]
    slices = [unit for unit in units if unit.endswith(".slice")]
    said |= {"systemd.unit.name": units[-1] if units else "", "systemd.slice.name": slices[-1] if slices else ""}
    return {name: text for name, text in said.items() if text}
