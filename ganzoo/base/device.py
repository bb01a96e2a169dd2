"""Device, precision and processes of a run, through accelerate."""

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
from torch import Tensor

from ganzoo.base.torch_private import forget_accelerator_state
from ganzoo.errors import BadDevice, nearest

PATH_MAX = 4096
"""Most bytes of a string that processes share."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Backend:
    """Device, precision and processes of a run.

    Attributes:
        accelerator: The Accelerator of this process.
        device: Device of the networks.
        precision: Precision of their arithmetic: "fp32", "bf16" or "fp16".
        why: Why the precision was chosen.
    """

    accelerator: Accelerator
    device: torch.device
    precision: str
    why: str

    @property
    def channels_last(self) -> bool:
        """Whether the memory format is channels-last, which makes bf16 and fp16 convolutions faster."""
        return self.precision != "fp32"

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return int(self.accelerator.process_index)

    @property
    def world(self) -> int:
        """Number of processes."""
        return int(self.accelerator.num_processes)

    @property
    def main(self) -> bool:
        """Whether this is the main process, which writes files and prints."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context in which the networks compute in the precision of the backend."""
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over the processes, in one exchange. All processes get the same bits.

        Args:
            tensors: Tensors that are changed in place; their shapes are the same in all processes.
        """
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1).float() for t in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        for tensor, mean in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def gather(self, rows: Tensor) -> Tensor:
        """Concatenate the rows of all processes, in the order of their ranks.

        Args:
            rows: Rows `[n, D]` of this process; n may differ between processes.

        Returns:
            Rows `[N, D]` on the device of `rows`.
        """
        if self.world == 1:
            return rows
        local = rows.to(self.device)
        counts = self.accelerator.gather(torch.tensor([len(rows)], device=self.device))
        even = self.accelerator.gather(self.accelerator.pad_across_processes(local))
        chunks = zip(even.chunk(self.world), counts.tolist(), strict=True)
        return torch.cat([chunk[:count] for chunk, count in chunks]).to(rows.device)

    def agree(self, flag: bool) -> bool:
        """Return whether a flag is true in any process."""
        if self.world == 1:
            return flag
        votes = torch.tensor([float(flag)], device=self.device)
        torch.distributed.all_reduce(votes)
        return bool(votes.item())

    def share(self, value: str) -> str:
        """Return the string of the main process, as a path, in every process."""
        if self.world == 1:
            return value
        letters = torch.zeros(PATH_MAX, dtype=torch.uint8, device=self.device)
        encoded = torch.frombuffer(bytearray(value.encode() or b"\0"), dtype=torch.uint8)
        letters[: len(encoded)] = encoded
        torch.distributed.broadcast(letters, 0)
        return bytes(letters.tolist()).rstrip(b"\0").decode()

    def wait(self) -> None:
        """Wait until all processes get here."""
        self.accelerator.wait_for_everyone()

    def __str__(self) -> str:
        processes = f" · {self.world} processes" if self.world > 1 else ""
        return (
            f"{self.device} · {self.precision}{', channels-last' if self.channels_last else ''} ({self.why}){processes}"
        )


def make_backend(device: str = "auto", precision: str = "auto") -> Backend:
    """Create the backend of a device and precision.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        precision: "auto", "fp32", "bf16" or "fp16".

    Raises:
        BadDevice: This machine does not have the device, or the device cannot compute in the precision.
    """
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
        forget_accelerator_state()  # a second run of this process may use another device
    on_cpu = kind == "cpu" or (
        kind == "auto" and not torch.accelerator.is_available()
    )  # else accelerate ignores torchrun
    accelerator = Accelerator(cpu=on_cpu, mixed_precision="fp16" if precision == "fp16" else "no")
    if accelerator.num_processes > 1:
        atexit.register(leave)
    on = torch.device(device) if ":" in device else accelerator.device
    if on.type == "cpu":
        keep_memory()
    chosen, why = choose_precision(precision, on)
    return Backend(accelerator, on, chosen, why)


def keep_memory() -> None:
    """Let glibc keep freed memory for the tensors of the next step, which have the same sizes.

    By default, large blocks are returned to the system at once, and a step spends a tenth of its time on getting them
    again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, 1 << 30)
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the largest value that is allowed


def first_process() -> bool:
    """Return whether this is the only process, or the first of several."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def leave() -> None:
    """Leave the group of processes, if there is one.

    Without this, the interpreter sometimes aborts at its end, while threads of gloo still hold a tensor.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        gc.collect()


def choose_precision(precision: str, device: torch.device) -> tuple[str, str]:
    """Choose the precision: as requested or, for "auto", bf16 if the device supports it in hardware, else fp32.

    Args:
        precision: "auto", "fp32", "bf16" or "fp16".
        device: The device.

    Returns:
        The precision, and why it was chosen.

    Raises:
        BadDevice: The device cannot compute in the precision.
    """
    if precision == "fp16" and device.type != "cuda":
        raise BadDevice(f"fp16 needs a CUDA device, and this run is on {device.type}; use --precision bf16 or auto")
    if precision != "auto":
        return precision, "as requested"
    if device.type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("bf16", "tensor cores") if supported else ("fp32", "no bf16 in hardware")
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        for flag, name in (("amx_bf16", "AMX"), ("amx_tile", "AMX"), ("avx512_bf16", "AVX512-BF16")):
            if capabilities.get(flag):
                return "bf16", name
    return "fp32", "no bf16 in hardware"


def seed_everything(seed: int) -> None:
    """Seed torch (every device), numpy and random."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
