"""How long the parts of networks take on this machine's CPU, each alone, and whole networks beside them."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import torch
from torch import nn

from rcas.blocks import BLOCK_TYPES, Block
from rcas.latency import HeadPart, LatencyTable, Part, StemPart, parts_of
from rcas.messages import PartsAnswer, PartsQuestion
from rcas.space import Space
from rcas_trainer.model import Activation, block, build, head, stem
from rcas_trainer.timing import Call, measure
from rcas_trainer.versions import versions

_CLOCKS = {"wall": time.perf_counter_ns, "cpu": time.thread_time_ns}


def time_parts(asked: PartsQuestion, done: Callable[[int], None]) -> PartsAnswer:
    """Time all parts and networks in turns, so that a machine that becomes slower does so for all of them.

    As where the trainer validates: float32, evaluation mode, channels last. The weights are a fresh draw.

    Args:
        asked: what to time.
        done: called after every timed round with the number of rounds so far.

    Raises:
        InvalidSpec: a network does not lie in the space.
    """
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    space, networks = asked.space, [asked.space.network(text) for text in asked.networks]
    parts = parts_of(space)
    calls = [_call(*alone(space, part, asked.activation), asked.batch) for part in parts]
    calls += [_call(build(space, network, asked.activation), space.input, asked.batch) for network in networks]
    with torch.inference_mode():
        timings = measure(calls, runs=asked.runs, warm_up=asked.warm_up, done=done, clock=_CLOCKS[asked.clock])
    table = LatencyTable.of(
        {part: timing.median_ns for part, timing in zip(parts, timings, strict=False)},
        machine=machine(),
        device="cpu",
        threads=asked.threads,
        batch=asked.batch,
        runs=asked.runs,
        clock=asked.clock,
        activation=asked.activation,
        versions=versions(),
    )
    return PartsAnswer(table=table, parts=tuple(timings[: len(parts)]), networks=tuple(timings[len(parts) :]))


def machine() -> str:
    """The kind of processor, such as `x86_64, Some Processor 3.0`; not the machine's name."""
    model = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ", ".join(filter(None, (platform.machine(), model)))[:200]


def alone(space: Space, part: Part, activation: Activation) -> tuple[nn.Module, tuple[int, int, int]]:
    """A part as a module, and the (channels, height, width) that it takes."""
    if isinstance(part, StemPart):
        return stem(space, activation), space.input
    shape = part.in_channels, part.height, part.width
    if isinstance(part, HeadPart):
        return head(space, part.in_channels, activation), shape
    placed = Block(BLOCK_TYPES[part.type], *astuple(part)[1:])
    return block(placed, activation), shape


def _call(module: nn.Module, shape: tuple[int, int, int], batch: int) -> Call:
    module = module.eval().to(memory_format=torch.channels_last)  # pyright: ignore
    images = torch.rand(batch, *shape).contiguous(memory_format=torch.channels_last)
    return lambda: module(images)
