"""Which job, pod, container or unit a cgroup is of: managers of workloads say it in the path."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

WHOLE: Final = "all"
"""The part that is no part: the cgroup of the workload itself."""

_CONTAINER = r"(?:[a-z][a-z0-9-]*-)?([0-9a-f]{64})(?:\.scope)?"

# The names of steps are numbers, `batch`, `extern` and `interactive`; version 2 puts all jobs below slurmstepd.scope.
_SLURM: Final = re.compile(
    r"/(?:slurm(?:_[^/]+)?|[^/]*slurmstepd\.scope)/(?:[^/]+/)*?job_(\d+)(?:/step_([^/]+))?(?:/|$)"
)
# The uid has `_` for `-` where systemd makes the cgroups; that of a static pod is a digest without either.
_POD: Final = re.compile(
    r"/(?:kubepods|[^/]*kubepods[^/]*\.slice)/(?:[^/]+/)*?(?:[^/]*-)?pod([0-9a-f_-]{32,36})(?:\.slice)?(?=/|$)"
)
_IN_POD: Final = re.compile(rf"/{_CONTAINER}(?=/|$)")
_OAR: Final = re.compile(r"/oar/[^/]+_(\d+)(?=/|$)|/oar\.slice/(?:[^/]+/)*?oar-u\d+-j(\d+)[^/]*(?=/|$)")
_UNIT: Final = re.compile(r"/([^/]+\.(?:service|scope|slice|socket|mount|swap))(?=/|$)")


class Workload(NamedTuple):
    """Who made a cgroup, for what, and which part of that it is; the part `all` is the whole."""

    manager: str
    id: str
    part: str


def workload(path: str) -> Workload:
    """What a cgroup is of, by its path from the root of the hierarchy.

    Slurm: the id of the job, and its step. Kubernetes: the uid of the pod with `-`, and the id of the container. OAR:
    the id of the job. Docker, Podman and others: the id of the container. Systemd: the innermost unit, and what is
    below it. `none`: the path. What lies deeper than the names that are known is of the same part.
    """
    if found := _SLURM.search(path):
        return Workload("slurm", found[1], found[2] or WHOLE)
    if found := _POD.search(path):
        inner = _IN_POD.search(path, found.end())
        return Workload("kubernetes", found[1].replace("_", "-"), inner[1] if inner else WHOLE)
    if found := _OAR.search(path):
        return Workload("oar", found[1] or found[2], WHOLE)
    if found := _IN_POD.search(path):
        return Workload("container", found[1], WHOLE)
    units = list(_UNIT.finditer(path))
    if units:
        return Workload("systemd", units[-1][1], path[units[-1].end() + 1 :] or WHOLE)
    return Workload("none", path, WHOLE)
