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
    build,
    forward,
    least_traffic,
    memory_of_a_step,
    operations,
    training_step,
)
from duhamel.benchmark.timing import Times, copy_bandwidth, in_turn, product_rate
from duhamel.operators.spectral_conv import SpectralConv

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
THEIRS = "neuraloperator"


@dataclass(frozen=True)
class Row:
    """One line of the tables: seconds, speed-ups (quartile, median, quartile), difference of outputs, bytes."""

    what: str
    shape: str
    precision: str
    seconds: dict[str, float]
    speed_up: dict[str, tuple[float, float, float]]
    difference: float
    memory: dict[str, int]
    floor: dict[str, float]


class SpectralEngine:
    """Tables of whole steps and of single layers over shapes and precisions.

    steps, layers: [batch, channels, points an axis, modes an axis, dimension] each.
    compiled: whether torch.compile's version of ours takes part. memory: whether that of the steps is measured.
    """

    def __init__(
        self,
        *,
        steps: Sequence[Sequence[int]],
        layers: Sequence[Sequence[int]],
        precisions: Sequence[str],
        repeats: int,
        compiled: bool,
        memory: bool = True,
    ) -> None:
        self.steps = [Shape(*s) for s in steps]
        self.layers = [Shape(*s) for s in layers]
        self.precisions, self.repeats, self.compiled, self.memory = precisions, repeats, compiled, memory
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def run(self, console: Console) -> dict[str, Any]:
        bandwidth = copy_bandwidth(self.device)
        rates = {p: product_rate(DTYPES[p], self.device) for p in self.precisions}
        console.print(
            f"copies {bandwidth / 1e9:.1f} GB/s; products "
            + ", ".join(f"{p} {r / 1e9:.0f} Gop/s" for p, r in rates.items())
        )
        rows = []
        for precision in self.precisions:
            for shape in self.layers:
                rows.append(self.layer(shape, precision))
                console.print(_line(rows[-1]))
        for precision in self.precisions:
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
            def run() -> Tensor:
                with torch.autocast(u.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
                    out: Tensor = layer(u)
                out.backward(weight.to(out.dtype))
                return out.detach()

            return run

        contenders = {THEIRS: passes(theirs), "duhamel": passes(ours)}
        odd = shape.points % 2 and shape.dim > 1  # where neuraloperator shifts its spectrum back wrongly
        difference = math.nan if odd else _distance(contenders["duhamel"](), contenders[THEIRS]())
        times = in_turn(contenders, repeats=self.repeats, warm_up=2, device=self.device)
        return _row("layer", shape, precision, times, difference, {}, math.nan)

    def step(self, shape: Shape, precision: str, bandwidth: float, rate: float) -> Row:
        """A whole training step of the FNO."""
        ours, theirs, u, target = build(shape, self.device)
        with torch.no_grad():
            exact = forward(theirs)(u)
            with torch.autocast(u.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
                difference = _distance(forward(ours)(u), exact)
        contenders = {
            THEIRS: training_step(theirs, u, target, precision),
            "duhamel": training_step(ours, u, target, precision),
        }
        if self.compiled:
            torch._dynamo.reset()
            compiled = build(shape, self.device)[0]
            compiled.compile(fullgraph=True)
            contenders["duhamel, compiled"] = training_step(compiled, u, target, precision)
        times = in_turn(contenders, repeats=self.repeats, warm_up=2, device=self.device)
        memory = {
            name: memory_of_a_step(shape, precision, ours=name != THEIRS, compiled="compiled" in name)
            for name in contenders
            if self.memory
        }
        floor = max(least_traffic(shape, ours, precision) / bandwidth, operations(shape, ours) / rate)
        return _row("step", shape, precision, times, difference, memory, floor)


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
        {name: t.median / floor for name, t in times.items()},
    )


def _line(row: Row) -> str:
    ratios = ", ".join(
        f"{name} {middle:.2f} [{low:.2f}, {high:.2f}]" for name, (low, middle, high) in row.speed_up.items()
    )
    return f"{row.what} {row.shape} {row.precision}: {ratios}"


def table(rows: Sequence[Row]) -> Table:
    """Milliseconds and speed-ups; memory as a share of neuraloperator's; times over the floor of the fastest."""
    columns = (
        "",
        "shape",
        "precision",
        "theirs, ms",
        "ours",
        "compiled",
        "speed-up",
        "compiled",
        "memory",
        "over floor",
        "difference",
    )
    result = Table(*columns, title="Against neuraloperator with the same weights: medians, quartiles in the JSON file")
    for row in rows:
        names = [n for n in row.seconds if n != THEIRS]
        milliseconds = [f"{1e3 * row.seconds[n]:.1f}" for n in row.seconds] + [""] * (3 - len(row.seconds))
        ratios = [f"{row.speed_up[n][1]:.2f}" for n in names] + [""] * (2 - len(names))
        # A step smaller than the pages that are counted adds none.
        shares = "/".join(f"{row.memory[n] / row.memory[THEIRS]:.2f}" for n in names) if row.memory.get(THEIRS) else ""
        floor = min(row.floor.values())
        result.add_row(
            row.what,
            row.shape,
            row.precision,
            *milliseconds,
            *ratios,
            shares,
            "" if math.isnan(floor) else f"{floor:.1f}",
            f"{row.difference:.0e}",
        )
    return result
