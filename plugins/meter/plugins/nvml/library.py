"""The driver's library, called with as little around a call as can be.

`pynvml` loads and initializes the library, and has its structures, constants and error texts. Its functions make new
structures at each call, which can take longer than the call itself; here they are made once for each GPU.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pynvml

from meter.core.plugin import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ABSENT: Final = pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
UNSUPPORTED: Final = frozenset({pynvml.NVML_ERROR_NOT_SUPPORTED, ABSENT})
"""What will not be there later either."""
LOST: Final = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED})
"""A GPU that does not come back before it is reset or the machine is."""
REFUSED: Final = UNSUPPORTED | {pynvml.NVML_ERROR_NO_PERMISSION}
"""What stays so while this process runs."""

_REMEDIES: Final = {
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "load it with `sudo modprobe nvidia`, or leave this source out",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was updated: restart the machine, or load its module anew",
    pynvml.NVML_ERROR_NO_PERMISSION: "let this user read and write /dev/nvidiactl and /dev/nvidia0 and the others",
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "install the driver's libnvidia-ml.so.1, or leave this source out",
}
_ALL: Final = 100  # percent
_BEYOND: Final = Missing("the driver says that a process used more than 100 % of the time")
_ROOM: Final = 2**16  # a driver to which that is too little is not asked with more
_NO_MEMORY: Final = 2**64 - 1  # what the driver says where it does not know what a process uses

Value = float | Missing


class _Temperature(ctypes.Structure):
    """`nvmlTemperature_v1_t`, which pynvml has from its version 12.570 on only."""

    _fields_ = (("version", ctypes.c_uint), ("sensor", ctypes.c_uint), ("temperature", ctypes.c_int))


class Library:
    """The initialized library. Raises: OSError, it cannot be used; the text says what mends it."""

    def __init__(self) -> None:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            mend = _REMEDIES.get(error.value, "see what `nvidia-smi` says")
            raise OSError(f"the NVIDIA driver cannot be used: {error}; {mend}") from error
        self._loaded = pynvml.nvmlLib

    def close(self) -> None:
        """Give the library back; another user of it in this process keeps it."""
        pynvml.nvmlShutdown()

    def function(self, name: str) -> Callable[..., int]:
        """A function of the library; of one that this driver does not have, one that says so."""
        try:
            # An object of its own: pynvml's has no argument types, and must not get any.
            found: Callable[..., int] = self._loaded[name]
        except AttributeError:
            return lambda *_: ABSENT
        return found

    def gpus(self) -> list[Handle]:
        """All GPUs that the driver knows, those too that cannot be used."""
        return [self._gpu(index) for index in range(pynvml.nvmlDeviceGetCount())]

    def driver(self) -> str:
        """The version of the driver."""
        return str(pynvml.nvmlSystemGetDriverVersion())

    def _gpu(self, index: int) -> Handle:
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            return Handle(index, handle, pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle), None)
        except pynvml.NVMLError as error:
            return Handle(index, None, "unknown", "unknown", Missing(f"GPU {index} cannot be used: {error}"))


class Handle(NamedTuple):
    """A GPU by its number; `fault` is why it cannot be used."""

    number: int
    handle: Any
    uuid: str
    model: str
    fault: Missing | None


class Probe:
    """A call of the driver and the numbers that it gives.

    Args: `call` calls and gives the driver's answer, 0 where it is good; `values` then reads the numbers. `function` is
        named in reasons. `width` is how many numbers there are.
    """

    __slots__ = ("_call", "_function", "_known", "_never", "_values", "answer", "width")

    def __init__(
        self, function: str, width: int, call: Callable[[], int], values: Callable[[], Sequence[Value]]
    ) -> None:
        self._function = function
        self._call = call
        self._values = values
        self.width = width
        self.answer = 0
        """What the driver has answered last."""
        self._known = False
        self._never: Sequence[Value] | None = None

    def read(self) -> Sequence[Value]:
        """The numbers, or why there are none. What the driver does not support is asked for once and not again."""
        if self._never is not None:
            return self._never
        self.answer = answer = self._call()
        if not answer:
            self._known = True
            return self._values()
        missing = [Missing(why(self._function, answer))] * self.width
        if answer in UNSUPPORTED and not self._known:
            self._never = missing
        return missing


def why(function: str, answer: int) -> str:
    """What the driver said instead of an answer."""
    return f"{function}: {pynvml.NVMLError(answer)}"


# ------------------------------------------------------------------------------------------------ what can be asked for


def power(library: Library, handle: Any) -> Probe:
    """W, as the driver says it in one number: of Ampere and later the mean of a second, else the power now."""
    return _number(library, handle, "nvmlDeviceGetPowerUsage", per=1000)


def energy(library: Library, handle: Any) -> Probe:
    """The energy since the driver was loaded in mJ, an integer."""
    return _number(library, handle, "nvmlDeviceGetTotalEnergyConsumption", ctypes.c_ulonglong, per=None)


def fields(library: Library, handle: Any) -> Probe:
    """Power now and of the last second in W, and the temperature of the memory in Cel."""
    function = "nvmlDeviceGetFieldValues"
    asked = (
        (pynvml.NVML_FI_DEV_POWER_INSTANT, 1000),
        (pynvml.NVML_FI_DEV_POWER_AVERAGE, 1000),
        (pynvml.NVML_FI_DEV_MEMORY_TEMP, 1),
    )
    found = (pynvml.c_nvmlFieldValue_t * len(asked))()
    for field, (number, _) in zip(found, asked, strict=True):
        field.fieldId = number
    entries = [(found[place], per) for place, (_, per) in enumerate(asked)]
    call, reference = library.function(function), ctypes.byref(found)
    count = len(asked)

    def values() -> list[Value]:
        return [
            entry.value.uiVal / per
            if not entry.nvmlReturn
            else Missing(f"{why(function, entry.nvmlReturn)} (field {entry.fieldId})")
            for entry, per in entries
        ]

    return Probe(function, count, lambda: call(handle, count, reference), values)


def utilization(library: Library, handle: Any) -> Probe:
    """Shares of time: a kernel ran, memory was read or written."""
    function = "nvmlDeviceGetUtilizationRates"
    found = pynvml.c_nvmlUtilization_t()
    call, reference = library.function(function), ctypes.byref(found)
    return Probe(function, 2, lambda: call(handle, reference), lambda: (found.gpu / 100, found.memory / 100))


def coder(library: Library, handle: Any, which: str) -> Probe:
    """Share of time of the `Encoder` or `Decoder`."""
    function = f"nvmlDeviceGet{which}Utilization"
    found, period = ctypes.c_uint(), ctypes.c_uint()
    call, references = library.function(function), (ctypes.byref(found), ctypes.byref(period))
    return Probe(function, 1, lambda: call(handle, *references), lambda: (found.value / 100,))


def memory(library: Library, handle: Any) -> Probe:
    """Bytes: in use, reserved, all. `used` of the second version of the call is without what is reserved."""
    function = "nvmlDeviceGetMemoryInfo_v2"
    found = pynvml.c_nvmlMemory_v2_t()
    found.version = pynvml.nvmlMemory_v2
    call, reference = library.function(function), ctypes.byref(found)
    return Probe(function, 3, lambda: call(handle, reference), lambda: (found.used, found.reserved, found.total))


def temperature(library: Library, handle: Any) -> Probe:
    """Cel."""
    function = "nvmlDeviceGetTemperatureV"
    found = _Temperature(version=ctypes.sizeof(_Temperature) | 1 << 24, sensor=pynvml.NVML_TEMPERATURE_GPU)
    call, reference = library.function(function), ctypes.byref(found)
    if call(handle, reference) != ABSENT:
        return Probe(function, 1, lambda: call(handle, reference), lambda: (float(found.temperature),))
    # A driver from before 2025; newer ones will not have this function any more.
    return _number(library, handle, "nvmlDeviceGetTemperature", per=1, first=pynvml.NVML_TEMPERATURE_GPU)


def clock(library: Library, handle: Any, kind: int) -> Probe:
    """Hz of one clock of the constants `NVML_CLOCK_...`."""
    return _number(library, handle, "nvmlDeviceGetClockInfo", times=1e6, first=kind)


def _number(
    library: Library,
    handle: Any,
    function: str,
    type_: Any = ctypes.c_uint,
    *,
    times: float = 1.0,
    per: int | None = 1,
    first: int | None = None,
) -> Probe:
    """A call that gives one number; `first` is an argument before it. Without `per` it stays an integer."""
    found = type_()
    call = library.function(function)
    arguments = (ctypes.byref(found),) if first is None else (first, ctypes.byref(found))
    if per is None:
        return Probe(function, 1, lambda: call(handle, *arguments), lambda: (found.value,))
    return Probe(function, 1, lambda: call(handle, *arguments), lambda: (found.value * times / per,))


class _Listing:
    """A call of the driver that fills an array, which is made as long as the driver says that it has to be."""

    def __init__(self, library: Library, handle: Any, function: str, entry: Any, room: int) -> None:
        self._function = function
        self._call = library.function(function)
        self._handle = handle
        self._entry = entry
        self._count = ctypes.c_uint()
        self._grow(room)
        self.answer = 0
        """What the driver has answered last."""
        self._known = False
        self._never: Missing | None = None

    def _entries(self) -> Sequence[Any] | Missing:
        """What the driver has; what it does not support is asked for once and not again."""
        if self._never is not None:
            return self._never
        self._count.value = self._room
        self.answer = self._ask()
        while self.answer == pynvml.NVML_ERROR_INSUFFICIENT_SIZE and self._room < _ROOM:
            self._grow(2 * max(self._count.value, self._room))
            self.answer = self._ask()
        if self.answer:
            missing = Missing(why(self._function, self.answer))
            if self.answer in UNSUPPORTED and not self._known:
                self._never = missing
            return missing
        self._known = True
        found: Sequence[Any] = self._found[: self._count.value]
        return found

    def _ask(self) -> int:
        raise NotImplementedError

    def _grow(self, room: int) -> None:
        self._room = self._count.value = room
        self._found = (self._entry * room)()
        self._counted = ctypes.byref(self._count)


class Processes(_Listing):
    """The processes that have a context of one kind, `Compute` or `Graphics`: bytes of memory by id."""

    def __init__(self, library: Library, handle: Any, kind: str) -> None:
        function = f"nvmlDeviceGet{kind}RunningProcesses_v3"
        super().__init__(library, handle, function, pynvml.c_nvmlProcessInfo_v3_t, 32)

    def read(self) -> dict[str, Value] | Missing:
        """The memory of each process; missing of one where the driver does not know it."""
        found = self._entries()
        return found if isinstance(found, Missing) else {str(each.pid): _used(each.usedGpuMemory) for each in found}

    def _ask(self) -> int:
        return self._call(self._handle, self._counted, self._found)


class Samples(_Listing):
    """The driver's samples of what each process does on a GPU.

    The first answer is the base: its samples are older than the measurement, and only the time of the newest is kept.
    """

    def __init__(self, library: Library, handle: Any) -> None:
        super().__init__(
            library, handle, "nvmlDeviceGetProcessUtilization", pynvml.c_nvmlProcessUtilizationSample_t, 128
        )
        self._newest = 0  # us, by the driver's clock
        self.kernels: dict[str, int] | Missing | None = None
        """Of the last answer the percents of kernels of each process, added up over its samples; None at the base."""

    def read(self) -> dict[str, list[Value]] | Missing | None:
        """Means of a process's samples since the last answer, as shares of time: kernels, memory, encoder, decoder.

        A process without a sample is not there. None at the base.
        """
        first = not self._known
        entries = self._entries()
        if isinstance(entries, Missing):
            self.kernels = entries
            return entries
        # What a driver has not filled in has no process, or a time that was asked for already.
        samples = [each for each in entries if each.pid and each.timeStamp > self._newest]
        self._newest = max((each.timeStamp for each in samples), default=self._newest)
        self.kernels = None if first else _added(samples)
        if first:
            return None
        by_process: dict[str, list[tuple[int, ...]]] = {}
        for each in samples:
            shares = (each.smUtil, each.memUtil, each.encUtil, each.decUtil)
            by_process.setdefault(str(each.pid), []).append(shares)
        return {pid: [_mean(of) for of in zip(*shares, strict=True)] for pid, shares in by_process.items()}

    def _ask(self) -> int:
        answer = self._call(self._handle, self._found, self._counted, ctypes.c_ulonglong(self._newest))
        if answer == pynvml.NVML_ERROR_NOT_FOUND:  # no sample since then
            self._count.value = 0
            return 0
        return answer


def _added(samples: Sequence[Any]) -> dict[str, int] | Missing:
    """The percents of kernels by process; no share of them is known where one cannot be."""
    added: dict[str, int] = {}
    for each in samples:
        if each.smUtil > _ALL:
            return _BEYOND
        added[str(each.pid)] = added.get(str(each.pid), 0) + each.smUtil
    return added


def _mean(percents: Sequence[int]) -> Value:
    if max(percents) > _ALL:
        return _BEYOND
    return sum(percents) / (_ALL * len(percents))


def _used(memory_: int) -> Value:
    return Missing("the driver does not say what this process uses") if memory_ == _NO_MEMORY else memory_


class Part(NamedTuple):
    """A MIG partition: its instance of the GPU and of its compute units, and its handle."""

    instance: int
    compute: int
    address: int
    handle: Any


class Partitions:
    """The MIG partitions of one GPU as they are now."""

    def __init__(self, library: Library, handle: Any) -> None:
        self._handle = handle
        self._at = library.function("nvmlDeviceGetMigDeviceHandleByIndex")
        self._instance = library.function("nvmlDeviceGetGpuInstanceId")
        self._compute = library.function("nvmlDeviceGetComputeInstanceId")
        mode, pending, most = ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint()
        asked = library.function("nvmlDeviceGetMigMode")(handle, ctypes.byref(mode), ctypes.byref(pending))
        self.enabled = not asked and mode.value == 1
        if self.enabled:
            library.function("nvmlDeviceGetMaxMigDeviceCount")(handle, ctypes.byref(most))
        self._most = most.value

    def find(self) -> list[Part]:
        """Each of them; one that cannot be told is left out."""
        found = []
        for place in range(self._most):
            handle = pynvml.c_nvmlDevice_t()
            if self._at(self._handle, place, ctypes.byref(handle)):
                continue
            instance, compute = ctypes.c_uint(), ctypes.c_uint()
            if self._instance(handle, ctypes.byref(instance)) or self._compute(handle, ctypes.byref(compute)):
                continue
            address = ctypes.cast(handle, ctypes.c_void_p).value or 0
            found.append(Part(instance.value, compute.value, address, handle))
        return found
