"""The spectral engine against neuraloperator's, with the same weights: one layer, one training step, and the floor.

Contenders take turns in one process; the optimiser is the fastest AdamW that their parameters allow (fused for real
weights, the default for complex ones). The floor of a step is the larger of two times: the bytes that any
implementation must move over the measured bandwidth of copies, and the operations of its products over the measured
rate of a large product. Memory is what a step adds to that of its process, each contender in a process of its own.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from duhamel.benchmark.engine_contenders import (
    Shape,
    allocated_by,
    build,
    forward,
    least_traffic,
    memory_of_a_step,
    operations,
    training_step,
)
from duhamel.benchmark.timing import Times, copy_bandwidth, in_turn, product_rate
from duhamel.operators.spectral_conv import SpectralConv
from duhamel.training.compiled import compiled
from duhamel.training.precision import set_products

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
PRODUCTS = {"fp32": "highest", "tf32": "high", "bf16": "high"}  # of what stays in float32, on a GPU
THEIRS, OURS = "neuraloperator", "duhamel"
REPLAYED = "reduce-overhead"  # torch.compile's mode that replays CUDA graphs; on a CPU it is its default


@dataclass(frozen=True)
class Row:
    """One measurement: by contender seconds, speed-up (quartile, median, quartile) and bytes; difference of outputs.

    floor: seconds below which no step can be.
    """

    what: str
    shape: str
    precision: str
    seconds: dict[str, float]
    speed_up: dict[str, tuple[float, float, float]]
    difference: float
    memory: dict[str, int]
    floor: float


class SpectralEngine:
    """Tables of whole steps and of single layers over shapes and precisions.

    steps, layers: [batch, channels, points an axis, modes an axis, dimension] each.
    precisions: "fp32", "bf16" (autocast), on a GPU also "tf32".
    compiled: torch.compile's modes in which our step takes part as well; theirs_compiled: those of neuraloperator's.
    activation_memory: of our compiled steps, see `training.compiled`. memory: whether that of the steps is measured.

    On a GPU neuraloperator's transforms refuse bfloat16: in its rows what it does in TF32 is compared.
    """

    def __init__(
        self,
        *,
        steps: Sequence[Sequence[int]],
        layers: Sequence[Sequence[int]],
        precisions: Sequence[str],
        repeats: int,
        compiled: Sequence[str] = (),
        theirs_compiled: Sequence[str] = (),
        activation_memory: float = 1.0,
        memory: bool = True,
    ) -> None:
        self.steps = [Shape(*s) for s in steps]
        self.layers = [Shape(*s) for s in layers]
        self.precisions, self.repeats, self.memory = precisions, repeats, memory
        self.activation_memory = activation_memory
        # By name: whether it is ours, and torch.compile's mode.
        self.contenders: dict[str, tuple[bool, str | None]] = {
            THEIRS: (False, None),
            **{f"{THEIRS}, {mode}": (False, mode) for mode in theirs_compiled},
            OURS: (True, None),
            **{f"{OURS}, {mode}": (True, mode) for mode in compiled},
        }
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def run(self, console: Console) -> dict[str, Any]:
        bandwidth = copy_bandwidth(self.device)
        rates = {}
        for precision in self.precisions:
            set_products(PRODUCTS[precision])
            rates[precision] = product_rate(DTYPES[precision], self.device)
        console.print(
            f"copies {bandwidth / 1e9:.1f} GB/s; products "
            + ", ".join(f"{p} {r / 1e9:.0f} Gop/s" for p, r in rates.items())
        )
        rows = []
        for precision in self.precisions:
            set_products(PRODUCTS[precision])
            for shape in self.layers:
                rows.append(self.layer(shape, precision))
                console.print(_line(rows[-1]))
        for precision in self.precisions:
            set_products(PRODUCTS[precision])
            for shape in self.steps:
                rows.append(self.step(shape, precision, bandwidth, rates[precision]))
                console.print(_line(rows[-1]))
        console.print(table(rows))
        return {"bandwidth": bandwidth, "rates": rates, "rows": [asdict(r) for r in rows]}

    def layer(self, shape: Shape, precision: str) -> Row:
        """Forward and backward pass of one spectral convolution."""
        from neuralop.layers.spectral_convolution import SpectralConv as TheirConv

        torch.manual_seed(0)
        theirs = TheirConv(shape.channels, shape.channels, shape.n_modes, bias=False).to(self.device)
        ours = SpectralConv(shape.channels, shape.channels, n_modes=shape.n_modes).to(self.device)
        pairs = torch.view_as_real(torch.as_tensor(theirs.weight.to_tensor()).detach())
        ours.weight.get_parameter("multiplier").data.copy_(pairs.permute(*range(2, 2 + shape.dim), 0, 2 + shape.dim, 1))
        u = torch.randn(shape.batch, shape.channels, *shape.space, device=self.device)
        u = u.to(DTYPES[precision]).requires_grad_()
        weight = torch.randn_like(u)

        def passes(layer: nn.Module) -> Callable[[], Tensor]:
            lowered = self._lowered(precision, layer is ours)
            v = u if lowered or precision != "bf16" else u.detach().float().requires_grad_()

            def run() -> Tensor:
                with torch.autocast(u.device.type, dtype=torch.bfloat16, enabled=lowered):
                    out: Tensor = layer(v)
                out.backward(weight.to(out.dtype))
                return out.detach()

            return run

        contenders = {THEIRS: passes(theirs), OURS: passes(ours)}
        odd = shape.points % 2 and shape.dim > 1  # where neuraloperator shifts its spectrum back wrongly
        difference = math.nan if odd else _distance(contenders[OURS](), contenders[THEIRS]())
        times = in_turn(contenders, repeats=self.repeats, warm_up=2, device=self.device)
        return _row("layer", shape, precision, times, difference, {}, math.nan)

    def step(self, shape: Shape, precision: str, bandwidth: float, rate: float) -> Row:
        """A whole training step of the FNO."""
        ours, theirs, u, target = build(shape, self.device)
        with torch.no_grad():
            exact = forward(theirs)(u)
            with torch.autocast(u.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
                difference = _distance(forward(ours)(u), exact)
        torch._dynamo.reset()
        contenders = {
            name: training_step(self._model(shape, mine, mode), u, target, lowered=self._lowered(precision, mine))
            for name, (mine, mode) in self.contenders.items()
        }
        times = in_turn(contenders, repeats=self.repeats, warm_up=2, device=self.device)
        memory = {
            # A graph that is replayed keeps its memory from step to step.
            name: allocated_by(contenders[name])
            if self.device.type == "cuda"
            else memory_of_a_step(
                shape,
                ours=mine,
                mode=mode,
                lowered=self._lowered(precision, mine),
                activation_memory=self.activation_memory,
            )
            for name, (mine, mode) in self.contenders.items()
            if self.memory and mode != REPLAYED
        }
        floor = max(least_traffic(shape, ours, precision) / bandwidth, operations(shape, ours) / rate)
        return _row("step", shape, precision, times, difference, memory, floor)

    def _lowered(self, precision: str, mine: bool) -> bool:
        """Whether a contender runs under autocast."""
        return precision == "bf16" and (mine or self.device.type == "cpu")

    def _model(self, shape: Shape, mine: bool, mode: str | None) -> nn.Module:
        ours, theirs, _, _ = build(shape, self.device)
        if mine:
            return compiled(ours, mode or False, self.activation_memory)
        if mode:
            theirs.compile(mode=mode)
        return theirs


def _distance(a: Tensor, b: Tensor) -> float:
    return ((a.float() - b.float()).norm() / b.float().norm()).item()


def _row(
    what: str,
    shape: Shape,
    precision: str,
    times: dict[str, Times],
    difference: float,
    memory: dict[str, int],
    floor: float,
) -> Row:
    return Row(
        what,
        str(shape),
        precision,
        {name: t.median for name, t in times.items()},
        {name: times[THEIRS].over(t) for name, t in times.items() if name != THEIRS},
        difference,
        memory,
        floor,
    )


def _line(row: Row) -> str:
    ratios = ", ".join(
        f"{name} {middle:.2f} [{low:.2f}, {high:.2f}]" for name, (low, middle, high) in row.speed_up.items()
    )
    return f"{row.what} {row.shape} {row.precision}: {ratios}"


def table(rows: Sequence[Row]) -> Table:
    """A line a contender; ratios to neuraloperator, quartiles in brackets; time over the floor of steps."""
    columns = ("", "shape", "precision", "contender", "ms", "times faster", "memory", "over floor", "difference")
    result = Table(*columns, title="Against neuraloperator with the same weights: medians")
    for row in rows:
        head = [row.what, row.shape, row.precision]
        for name, seconds in row.seconds.items():
            low, middle, high = row.speed_up.get(name, (math.nan,) * 3)
            result.add_row(
                *head,
                name,
                f"{1e3 * seconds:.3g}",
                "" if name == THEIRS else f"{middle:.2f} [{low:.2f}, {high:.2f}]",
                # A step smaller than the pages that are counted adds none.
                f"{row.memory[name] / row.memory[THEIRS]:.2f}" if row.memory.get(THEIRS) and name in row.memory else "",
                "" if math.isnan(row.floor) else f"{seconds / row.floor:.1f}",
                f"{row.difference:.0e}" if name == OURS else "",
            )
            head = [""] * len(head)
    return result
