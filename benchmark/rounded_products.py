"""Training in bfloat16 on a processor that cannot multiply in it: the same numbers, at the speed of float32.

A unit for bfloat16 multiplies without rounding, sums in float32 and rounds the sum once. Torch's plain loops, which
stand in for one where there is none, are ten to thirty times slower than products in float32 of the same operands,
whose result is rounded once as well. Everything else that autocast leaves in bfloat16 is torch's own.
"""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

_aten = torch.ops.aten
PRODUCTS = frozenset(
    getattr(_aten, name)
    for name in ("mv", "mm", "bmm", "addmv", "addmm", "baddbmm", "convolution", "convolution_backward")
)


class RoundedProducts(TorchDispatchMode):
    """Within it, products of bfloat16 tensors are computed in float32 and rounded to bfloat16."""

    # torch does not annotate its modes.
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket not in PRODUCTS or not any(_is_half(a) for a in args):
            return func(*args, **kwargs)
        product = func(*tree_map_only(torch.Tensor, _lifted, args), **kwargs)
        return tree_map_only(torch.Tensor, lambda t: t.to(torch.bfloat16), product)


def _is_half(argument: Any) -> bool:
    return isinstance(argument, torch.Tensor) and argument.dtype == torch.bfloat16


def _lifted(t: torch.Tensor) -> torch.Tensor:
    return t.float() if t.dtype == torch.bfloat16 else t


class ProductsInFloat32(Callback):
    """`RoundedProducts` from the start of a training or test to its end."""

    def __init__(self) -> None:
        self.mode: RoundedProducts | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self.mode is None:
            self.mode = RoundedProducts()  # type: ignore[no-untyped-call]
            self.mode.__enter__()  # type: ignore[no-untyped-call]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self.mode is not None:
            self.mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self.mode = None
