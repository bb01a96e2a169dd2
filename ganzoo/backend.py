"""The machine a run is on: device, precision, processes. Accelerate does the work."""

from __future__ import annotations

import atexit
import ctypes
import gc
import random
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from ganzoo.errors import BadDevice, nearest

PATH_MAX = 4096
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Backend:
    """Where tensors live and in which arithmetic; `why` says how the precision was chosen."""

    accelerator: Accelerator
    device: torch.device
    precision: str
    why: str

    @property
    def channels_last(self) -> bool:
        """Whether images lie channels-last: bf16 and fp16 convolutions are faster so."""
        return self.precision != "fp32"

    @property
    def rank(self) -> int:
        """Number of this process."""
        return int(self.accelerator.process_index)

    @property
    def world(self) -> int:
        """Number of processes."""
        return int(self.accelerator.num_processes)

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[None]:
        """Run the networks in the backend's precision."""
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their mean over the processes, in one exchange; all processes end with the same bits."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1).float() for t in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows `[n, D]` of all processes, of one after the other, whatever n each has."""
        if self.world == 1:
            return rows
        here = rows.to(self.device)
        counts = self.accelerator.gather(torch.tensor([len(rows)], device=self.device))
        even = self.accelerator.gather(self.accelerator.pad_across_processes(here))
        parts = zip(even.chunk(self.world), counts.tolist(), strict=True)
        return torch.cat([part[:count] for part, count in parts]).to(rows.device)

    def agree(self, flag: bool) -> bool:
        """Return whether any process says so."""
        if self.world == 1:
            return flag
        votes = torch.tensor([float(flag)], device=self.device)
        torch.distributed.all_reduce(votes)
        return bool(votes.item())

    def share(self, value: str) -> str:
        """Return the main process's value (a path), in every process."""
        if self.world == 1:
            return value
        letters = torch.zeros(PATH_MAX, dtype=torch.uint8, device=self.device)
        own = torch.frombuffer(bytearray(value.encode() or b"\0"), dtype=torch.uint8)
        letters[: len(own)] = own
        torch.distributed.broadcast(letters, 0)
        return bytes(letters.tolist()).rstrip(b"\0").decode()

    def wait(self) -> None:
        """Wait for all processes."""
        self.accelerator.wait_for_everyone()

    def __str__(self) -> str:
        processes = f" · {self.world} processes" if self.world > 1 else ""
        return (
            f"{self.device} · {self.precision}{', channels-last' if self.channels_last else ''} ({self.why}){processes}"
        )


def make_backend(device: str = "auto", precision: str = "auto") -> Backend:
    """Return the backend of a device (`auto`, `cpu`, `cuda`, `cuda:1`, `mps`) and precision. Raises BadDevice."""
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise BadDevice(f"no device is called '{device}'{nearest(kind, DEVICES)} Devices: {', '.join(DEVICES)}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise BadDevice("this machine has no CUDA device that torch can use; leave out --device, or see: ganzoo doctor")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise BadDevice("this machine has no MPS device that torch can use; leave out --device, or see: ganzoo doctor")
    if ":" in device:
        number = device.partition(":")[2]
        if kind != "cuda" or not number.isdigit() or int(number) >= torch.cuda.device_count():
            raise BadDevice(f"there is no device '{device}'; this machine has {torch.cuda.device_count()} CUDA devices")
        torch.cuda.set_device(int(number))
    if not torch.distributed.is_initialized():
        AcceleratorState._reset_state(reset_partial_state=True)  # a second run in one process may want another device
    on_cpu = kind == "cpu" or (kind == "auto" and not torch.accelerator.is_available())  # else torchrun is not noticed
    accelerator = Accelerator(cpu=on_cpu, mixed_precision="fp16" if precision == "fp16" else "no")
    if accelerator.num_processes > 1:
        atexit.register(leave)
    on = torch.device(device) if ":" in device else accelerator.device
    if on.type == "cpu":
        keep_memory()
    chosen, why = choose_precision(precision, on)
    return Backend(accelerator, on, chosen, why)


def keep_memory() -> None:
    """Let glibc keep what is freed, for the next step's tensors of the same sizes.

    By default it gives it back to the system at once, and a step spends a tenth of its time on getting it again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, 1 << 30)
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes


def first_process() -> bool:
    """Return whether this is the only process, or the first of several: the one that speaks."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def leave() -> None:
    """Part from the other processes.

    An interpreter that ends while gloo's threads still hold a tensor aborts, now and then, after all is done.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        gc.collect()


def choose_precision(precision: str, device: torch.device) -> tuple[str, str]:
    """Return (precision, why): bf16 where the processor computes in it, fp32 elsewhere. Raises BadDevice."""
    if precision == "fp16" and device.type != "cuda":
        raise BadDevice(f"fp16 needs a CUDA device, and this run is on {device.type}; use --precision bf16 or auto")
    if precision != "auto":
        return precision, "as asked"
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("bf16", "tensor cores") if able else ("fp32", "no bf16 in hardware")
    if device.type == "cpu":
        has = torch.cpu.get_capabilities()
        for flag, name in (("amx_bf16", "AMX"), ("amx_tile", "AMX"), ("avx512_bf16", "AVX512-BF16")):
            if has.get(flag):
                return "bf16", name
    return "fp32", "no bf16 in hardware"


def seed_everything(seed: int) -> None:
    """Seed torch (every device), numpy and random."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
