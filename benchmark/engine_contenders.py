"""What the spectral engine's benchmark measures: FNOs of equal weights, their training steps, memory and floor."""

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity
from duhamel.operators import FNO, fourier, from_neuraloperator
from duhamel.training.compiled import compiled


@dataclass(frozen=True)
class Shape:
    batch: int
    channels: int
    points: int
    modes: int
    dim: int

    @property
    def space(self) -> tuple[int, ...]:
        return (self.points,) * self.dim

    @property
    def n_modes(self) -> tuple[int, ...]:
        return (self.modes,) * self.dim

    def __str__(self) -> str:
        return f"{self.batch} x {self.channels} x {self.points}^{self.dim}, {self.modes} modes"


def build(shape: Shape, device: torch.device) -> tuple[FNO, nn.Module, Tensor, Tensor]:
    """Our FNO and neuraloperator's with the same weights, an input and a target."""
    from neuralop.models import FNO as TheirFNO

    torch.manual_seed(0)
    periodic = (Boundary.PERIODIC,) * shape.dim
    grid = Grid(shape=shape.space, extent=(1.0,) * shape.dim, boundary=periodic, centring=Centring.NODE)
    problem = Problem(equation="none", channels=(Quantity("u"),), scalars=(), coefficients=(), grid=grid, dt=1.0)
    theirs = TheirFNO(shape.n_modes, 1, 1, shape.channels, positional_embedding=None)
    ours = from_neuraloperator(theirs.state_dict(), problem).to(device)
    u, target = torch.randn(2, shape.batch, 1, *shape.space, device=device).unbind(0)
    return ours, theirs.to(device), u, target


def forward(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The model as a function of the state alone."""
    if not isinstance(model, FNO):
        return model

    def ours(u: Tensor) -> Tensor:
        result: Tensor = model(u, Parameters(u.new_zeros(len(u), 0), u.new_zeros(len(u), 0, *u.shape[2:])))
        return result

    return ours


def training_step(model: nn.Module, u: Tensor, target: Tensor, *, lowered: bool) -> Callable[[], object]:
    """Forward, in bfloat16 by autocast where `lowered`, loss in float32, backward, AdamW."""
    real = not any(p.is_complex() for p in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=real or None)
    call = forward(model)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(u.device.type, dtype=torch.bfloat16, enabled=lowered):
            out = call(u)
        (out.float() - target).square().mean().backward()
        optimizer.step()

    return step


def _memory_of_a_step(
    shape: Shape, ours: bool, mode: str | None, lowered: bool, activation_memory: float, threads: int, queue: Any
) -> None:
    torch.set_num_threads(threads)
    mine, theirs, u, target = build(shape, torch.device("cpu"))
    model = compiled(mine, mode or False, activation_memory) if ours else theirs
    del mine, theirs
    if mode and not ours:
        model.compile(mode=mode)
    step = training_step(model, u, target, lowered=lowered)
    step()
    ctypes.CDLL(None).malloc_trim(0)  # else the step would be given what the one before it has let go
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    step()
    queue.put(_resident("VmHWM") - before)


def _resident(entry: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(entry)).split()[1])


def allocated_by(step: Callable[[], object]) -> int:
    """Bytes that a training step adds at its peak to what is allocated on the GPU."""
    step()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    return torch.cuda.max_memory_allocated() - before


def memory_of_a_step(shape: Shape, *, ours: bool, mode: str | None, lowered: bool, activation_memory: float) -> int:
    """Bytes that a training step on the CPU adds to the resident memory, in a fresh process.

    lowered: see `training_step`. mode: of torch.compile; None: not compiled. activation_memory: see `compiled`.
    """
    context = get_context("spawn")
    queue = context.Queue()
    arguments = (shape, ours, mode, lowered, activation_memory, torch.get_num_threads(), queue)
    process = context.Process(target=_memory_of_a_step, args=arguments)
    process.start()
    added: int = queue.get()
    process.join()
    return added


def least_traffic(shape: Shape, model: FNO, precision: str) -> int:
    """Bytes of a training step that no implementation avoids.

    A state between two products is written and read forward, read again backward, its gradient written and read; the
    states are those between lifting, blocks and projection and those inside them before an activation. AdamW reads and
    writes weights and two moments, and the gradient is written and read.
    """
    c, n = shape.channels, math.prod(shape.space)
    states = 2 * 2 * c + len(model.blocks) * (c + c + c // 2)
    weights = sum(p.numel() for p in model.parameters())
    return 5 * states * shape.batch * n * (2 if precision == "bf16" else 4) + 8 * 4 * weights


def operations(shape: Shape, model: FNO) -> int:
    """Multiplications and additions in the products of a training step: three times those of the forward pass."""
    c, n, blocks = shape.channels, math.prod(shape.space), len(model.blocks)
    pointwise = 2 * shape.batch * n * (2 * (2 * c + 2 * c * c) + blocks * (c * c + c * c))
    transforms = 2 * shape.batch * c * fourier.operations(shape.n_modes, shape.space) * blocks
    mixing = 8 * shape.batch * c * c * math.prod(shape.n_modes[:-1]) * (shape.modes // 2 + 1) * blocks
    return 3 * (pointwise + transforms + mixing)
