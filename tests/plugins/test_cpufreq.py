"""The source `cpufreq`, on made policies and on the real ones."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted
from tests.plugins.failing import failing

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = "/sys/devices/system/cpu/cpufreq"
REAL = Path(FOLDER)


class Policies:
    """A /sys/devices/system/cpu/cpufreq that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / FOLDER.removeprefix("/")
        self.folder.mkdir(parents=True)

    def write(self, number: int, cpus: object = "", **files: object) -> Path:
        """A policy with its files, or some of them anew; of the CPU with its number where none are named."""
        folder = self.folder / f"policy{number}"
        folder.mkdir(exist_ok=True)
        for name, value in {"affected_cpus": cpus or number, **files}.items():
            (folder / name).write_text(f"{value}\n")
        return folder

    def times(self, number: int, **khz: int) -> None:
        """How long it was at each frequency, in ticks."""
        stats = self.folder / f"policy{number}" / "stats"
        stats.mkdir(exist_ok=True)
        (stats / "time_in_state").write_text("".join(f"{name[1:]} {ticks}\n" for name, ticks in khz.items()))

    def mount(self, **config: Any) -> Mounted:
        """The source over it."""
        return Mounted("cpufreq", config, sysroot=self.root)


@pytest.fixture
def policies(tmp_path: Path) -> Policies:
    """A machine without any."""
    return Policies(tmp_path)


@pytest.fixture
def mount(policies: Policies, stopped: Callable[[Mounted], Mounted]) -> Callable[..., Mounted]:
    """Makes the source; it is stopped with the test."""
    return lambda **config: stopped(policies.mount(**config))


def values(mounted: Mounted, seconds: float = 1) -> dict[str, Any]:
    """One poll: numbers or reasons, by the last word of the metric, the CPU and the attributes' values."""
    found = {}
    for row in mounted.rows(round(seconds * SECOND)):
        for key, value in zip(row.columns.keys, row.values, strict=True):
            word = key.metric.name.rpartition(".")[2]
            name = " ".join([f"{word}@{key.resource[1]}", *(value for _, value in key.attributes)])
            found[name] = value.reason if isinstance(value, Missing) else value
    return found


def quality(mounted: Mounted, seconds: float = 9) -> set[tuple[str, str]]:
    """That of the frequencies, with its reason."""
    return {
        (key.metric.quality, key.metric.reason)
        for row in mounted.rows(round(seconds * SECOND))
        for key in row.columns.keys
        if key.metric.name == "system.cpu.frequency"
    }


def test_a_policy_in_its_units(policies: Policies, mount: Any) -> None:
    """The kernel says kHz; limits are those of the hardware and of the policy."""
    policies.write(0, scaling_cur_freq=2_399_998, cpuinfo_min_freq=400_000, cpuinfo_max_freq=4_800_000)
    policies.write(0, scaling_min_freq=800_000, scaling_max_freq=3_000_000)
    policies.write(0, scaling_governor="powersave", scaling_driver="intel_pstate", cpuinfo_transition_latency=0)
    mounted = mount()

    assert values(mounted) == {
        "frequency@0": 2_399_998_000.0,
        "limit@0 hardware_min": 4e8,
        "limit@0 hardware_max": 4.8e9,
        "limit@0 policy_min": 8e8,
        "limit@0 policy_max": 3e9,
        "policy@0 intel_pstate powersave policy0": 1,
    }


def test_cpus_of_one_policy_share_its_frequency(policies: Policies, mount: Any) -> None:
    """As big and little cores of a phone do; in the order of their numbers, without those that are offline."""
    policies.write(10, "10 11", scaling_cur_freq=2_000_000, related_cpus="10 11 12")
    policies.write(2, "2 3 4", scaling_cur_freq=900_000)
    (policies.folder / "ondemand").mkdir()
    found = values(mount())

    assert [(name, value) for name, value in found.items() if name.startswith("frequency")] == [
        *((f"frequency@{cpu}", 9e8) for cpu in (2, 3, 4)),
        *((f"frequency@{cpu}", 2e9) for cpu in (10, 11)),
    ]
    assert found["policy@11 unknown unknown policy10"] == 1


@given(st.integers(1, 10_000_000))
def test_any_frequency_is_a_thousand_times_what_the_file_says(
    tmp_path_factory: pytest.TempPathFactory, khz: int
) -> None:
    """Exactly."""
    policies = Policies(tmp_path_factory.mktemp("policies"))
    policies.write(0, scaling_cur_freq=khz)
    mounted = policies.mount()

    assert values(mounted)["frequency@0"] == khz * 1000
    mounted.source.stop()


@pytest.mark.parametrize(
    ("files", "hertz", "word"),
    [
        ({"cpuinfo_cur_freq": 1_100_000, "cpuinfo_avg_freq": 1_200_000}, 1.1e9, "measured"),
        ({"cpuinfo_avg_freq": 1_200_000}, 1.2e9, "measured"),
        ({}, 3e9, "estimated"),
        ({"cpuinfo_cur_freq": "<unknown>"}, 3e9, "estimated"),  # what the kernel says where the driver does not know
        ({"cpuinfo_cur_freq": 0, "cpuinfo_avg_freq": 1_200_000}, 1.2e9, "measured"),
    ],
)
def test_that_of_the_hardware_goes_first(
    policies: Policies, mount: Any, files: dict[str, object], hertz: float, word: str
) -> None:
    """Else what was asked for, which is estimated and says why."""
    policies.write(0, scaling_cur_freq=3_000_000, **files)
    mounted = mount()

    assert values(mounted)["frequency@0"] == hertz
    ((found, reason),) = quality(mounted)
    assert found == word
    assert ("only root may read it" in reason) == (word == "estimated")


def test_what_only_root_may_read_is_done_without(
    policies: Policies, mount: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frequency of the hardware, which others get from the driver."""
    policies.write(0, cpuinfo_cur_freq=1_000_000, scaling_cur_freq=2_000_000)
    opened = os.open

    def denied(path: str, *words: Any) -> int:
        if path.endswith("cpuinfo_cur_freq"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return opened(path, *words)

    monkeypatch.setattr(os, "open", denied)
    mounted = mount()

    assert values(mounted)["frequency@0"] == 2e9
    assert {found for found, _ in quality(mounted)} == {"estimated"}


# ---------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EAGAIN, errno.EIO])
def test_what_cannot_be_read_once_is_missing_once(
    policies: Policies, mount: Any, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """With the file and the answer; the other policy is there, and the best way is kept."""
    policies.write(0, cpuinfo_avg_freq=1_000_000, scaling_cur_freq=2_000_000)
    policies.write(1, scaling_cur_freq=3_000_000)
    mounted = mount()
    steady = values(mounted)
    errors = failing(monkeypatch, {"policy0/cpuinfo_avg_freq": code})
    silent = values(mounted, 2)
    errors.clear()

    assert silent["frequency@0"] == f"{FOLDER}/policy0/cpuinfo_avg_freq: {os.strerror(code)}"
    assert silent["frequency@1"] == 3e9
    assert values(mounted, 3) == steady


def test_a_policy_all_of_whose_cpus_are_offline_ends_its_series(
    policies: Policies, mount: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel answers EBUSY of every file of it then; it goes on when one is back."""
    policies.write(0, scaling_cur_freq=2_000_000)
    policies.write(1, scaling_cur_freq=3_000_000)
    mounted = mount()
    both = values(mounted)
    errors = failing(monkeypatch, {"policy1/affected_cpus": errno.EBUSY, "policy1/scaling_cur_freq": errno.EBUSY})
    one = values(mounted, 2)
    errors.clear()

    assert {name.partition(" ")[0] for name in one} == {"frequency@0", "policy@0"}
    assert values(mounted, 3) == both


def test_cpus_that_cannot_be_known_keep_their_series(
    policies: Policies, mount: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing with the reason, until they are known again."""
    policies.write(0, "0 1", scaling_cur_freq=2_000_000, scaling_max_freq=3_000_000)
    mounted = mount()
    steady = values(mounted)
    errors = failing(monkeypatch, {"affected_cpus": errno.EIO})
    silent = values(mounted, 2)
    errors.clear()
    policies.write(0, "zero one")
    odd = values(mounted, 3)
    policies.write(0, "0 1")

    why = f"{FOLDER}/policy0/affected_cpus: {os.strerror(errno.EIO)}"
    assert silent["frequency@0"] == silent["frequency@1"] == silent["limit@1 policy_max"] == why
    assert odd["frequency@1"] == f"{FOLDER}/policy0/affected_cpus holds b'zero one', which are no CPUs"
    assert values(mounted, 4) == steady


@pytest.mark.parametrize("text", ["", "<unknown>", "fast", "0", "-1", "2.5"])
def test_what_is_no_frequency_is_missing(policies: Policies, mount: Any, text: str) -> None:
    """With the file and what it says, never 0; limits are there."""
    policies.write(0, scaling_cur_freq=text, scaling_max_freq=3_000_000)
    found = values(mount())

    assert found["frequency@0"].startswith(f"{FOLDER}/policy0/scaling_cur_freq holds ")
    assert text in found["frequency@0"]
    assert found["limit@0 policy_max"] == 3e9


def test_a_folder_in_the_place_of_a_file(policies: Policies, mount: Any) -> None:
    """Nobody can read it, root neither."""
    (policies.write(0) / "scaling_cur_freq").mkdir()

    assert values(mount())["frequency@0"] == f"{FOLDER}/policy0/scaling_cur_freq: Is a directory"


def test_policies_come_and_go(policies: Policies, mount: Any) -> None:
    """As CPUs that are plugged into a virtual machine."""
    policies.write(0, scaling_cur_freq=2_000_000)
    mounted = mount()
    alone = values(mounted)
    added = policies.write(1, scaling_cur_freq=3_000_000)
    both = values(mounted, 2)
    shutil.rmtree(added)

    assert both["frequency@1"] == 3e9
    assert values(mounted, 3) == alone


def test_another_governor_is_another_series(policies: Policies, mount: Any) -> None:
    """From the poll on that sees it."""
    policies.write(0, scaling_cur_freq=2_000_000, scaling_governor="powersave", scaling_driver="amd-pstate-epp")
    mounted = mount()
    before = values(mounted)
    policies.write(0, scaling_governor="performance")
    after = values(mounted, 2)

    assert before["policy@0 amd-pstate-epp powersave policy0"] == 1
    assert after["policy@0 amd-pstate-epp performance policy0"] == 1
    assert "policy@0 amd-pstate-epp powersave policy0" not in after


def test_policies_that_cannot_be_listed_are_tried_again(policies: Policies, mount: Any) -> None:
    """The poll fails, the next one may succeed."""
    policies.write(0, scaling_cur_freq=2_000_000)
    mounted = mount()
    away = policies.folder.rename(policies.folder.with_name("away"))
    with pytest.raises(Retry, match=FOLDER):
        values(mounted)
    away.rename(policies.folder)

    assert values(mounted, 2)["frequency@0"] == 2e9


def test_a_machine_that_scales_nothing_is_refused(mount: Any) -> None:
    """Where the check was told to assume that it does."""
    with pytest.raises(LookupError, match="nothing scales the frequency of this machine"):
        mount()


# ---------------------------------------------------------------------------------------------------- time in state


def test_time_at_each_frequency(policies: Policies, mount: Any) -> None:
    """Ticks of 10 ms become seconds, of each CPU of the policy; over a second they are a second."""
    policies.write(0, "0 1", scaling_cur_freq=2_000_000)
    policies.times(0, f3600000=2089, f2800000=172_488)
    mounted = mount(states=True)
    first = {name for name in values(mounted) if name.startswith("time")}
    policies.times(0, f3600000=2089 + 25, f2800000=172_488 + 75)
    found = {name: value for name, value in values(mounted, 2).items() if name.startswith("time")}

    assert first == set()
    assert found == {
        **{f"time@{cpu} 3600000000": 0.25 for cpu in (0, 1)},
        **{f"time@{cpu} 2800000000": 0.75 for cpu in (0, 1)},
    }


def test_counts_that_fail_or_begin_anew(policies: Policies, mount: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that fails is in the next delta, odd content is missing, and so are counts that somebody has reset."""
    policies.write(0, scaling_cur_freq=2_000_000)
    policies.times(0, f2000000=100)
    mounted = mount(states=True)
    values(mounted)
    errors = failing(monkeypatch, {"time_in_state": errno.EIO})
    failed = values(mounted, 2)["time@0 2000000000"]
    errors.clear()
    policies.times(0, f2000000=300)
    after = values(mounted, 3)["time@0 2000000000"]
    (policies.folder / "policy0" / "stats" / "time_in_state").write_text("2000000 3 4\n")
    odd = values(mounted, 4)["time@0 2000000000"]
    policies.times(0, f2000000=5)

    path = f"{FOLDER}/policy0/stats/time_in_state"
    assert failed == f"{path}: {os.strerror(errno.EIO)}"
    assert after == 2.0
    assert odd == f"{path} holds b'2000000 3 4', which is no frequency with its time"
    assert values(mounted, 5)["time@0 2000000000"] == "the counter went back"


def test_nobody_counts_where_the_driver_has_no_states(policies: Policies, mount: Any) -> None:
    """There is nothing to give then, and no breach."""
    policies.write(0, scaling_cur_freq=2_000_000)
    mounted = mount(states=True)

    assert [name for second in range(1, 9) for name in values(mounted, second) if name.startswith("time")] == []


@pytest.mark.skipif(not any(REAL.glob("policy*")), reason="this machine scales no frequency")
def test_the_real_machine_has_its_frequencies() -> None:
    """Each CPU that is online has one, or a reason."""
    mounted = Mounted("cpufreq")
    found = values(mounted)
    mounted.source.stop()

    cpus = {cpu for policy in REAL.glob("policy*") for cpu in (policy / "affected_cpus").read_text().split()}
    assert {name.removeprefix("frequency@") for name in found if name.startswith("frequency@")} == cpus
