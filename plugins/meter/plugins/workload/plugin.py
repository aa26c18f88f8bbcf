"""The postfilter `workload`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meter.core.plugin import Filter
from meter.core.renaming import renamed
from meter.core.workloads import told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meter.core.batch import Block
    from meter.core.bind import Selection
    from meter.core.keys import Key
    from meter.core.plugin import Context

_NAMES: Final = frozenset(("k8s.namespace.name", "k8s.pod.name"))
_PARTS: Final = 3


class Workload(Filter):
    """The selected series with what the path of their cgroup says of it; nothing else about them changes.

    Namespace and name of a pod stand in no path. The kubelet keeps the logs of each pod in a folder that is called by
    both and by the uid of the pod; where there is none they are empty. No value is copied: the new series address the
    matrices of the old ones.

    Source: `meter.core.workloads` for paths; of the folders, Kubernetes, pkg/kubelet/kuberuntime/helpers.go,
    BuildPodLogsDirectory.
    """

    def start(self, context: Context) -> None:
        """Know no pods yet."""
        self._context = context
        self._pods: dict[str, tuple[str, str]] = {}

    def tell(self, key: Key, names: tuple[str, ...]) -> Mapping[str, str]:
        """What the path says, and what a pod is called."""
        said = told(key.consumer[1])
        uid = said.get("k8s.pod.uid")
        if uid is not None and not _NAMES.isdisjoint(names):
            said["k8s.namespace.name"], said["k8s.pod.name"] = self._called(uid)
        return said

    def _called(self, uid: str) -> tuple[str, str]:
        """Namespace and name of a pod. Folders are looked through when one is asked for that is not known."""
        if uid not in self._pods:
            try:
                folders = self._context.listdir(self.config["pods"])
            except OSError:  # no node of Kubernetes, or not ours to read
                folders = []
            parted = [folder.split("_") for folder in folders]
            self._pods = {parts[2]: (parts[0], parts[1]) for parts in parted if len(parts) == _PARTS}
        return self._pods.get(uid, ("", ""))

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """The same rows under other keys, over the same matrices."""
        for selection in selections:
            yield renamed(selection, block)
