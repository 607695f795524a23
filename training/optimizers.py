"""Adam and AdamW, all weights in one kernel."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

Betas = tuple[float, float]


def adamw(
    parameters: Iterable[Tensor],
    *,
    lr: float,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> Optimizer:
    """Loshchilov and Hutter (2019), Algorithm 2: weight decay apart from the gradient."""
    weights = list(parameters)
    optimizer = AdamW(
        weights, lr=lr, betas=(betas[0], betas[1]), eps=eps, weight_decay=weight_decay, fused=_fused(weights)
    )
    return _clippable(optimizer)


def adam(
    parameters: Iterable[Tensor],
    *,
    lr: float,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Kingma and Ba (2015), Algorithm 1, with weight_decay times the weights added to the gradient."""
    weights = list(parameters)
    optimizer = Adam(
        weights, lr=lr, betas=(betas[0], betas[1]), eps=eps, weight_decay=weight_decay, fused=_fused(weights)
    )
    return _clippable(optimizer)


def _fused(weights: list[Tensor]) -> bool | None:
    """True where all weights are real; the kernel takes no complex ones."""
    return True if all(map(torch.is_floating_point, weights)) else None


def _clippable(optimizer: Optimizer) -> Optimizer:
    # A fused optimiser would undo the scaling of float16's gradients within its step, too late to clip them: Lightning
    # refuses to. Told that it does not, torch's scaler undoes it before.
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    return optimizer
