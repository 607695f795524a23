"""Learning rates over a training of known length."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR


def cosine(optimizer: Optimizer, total_steps: int, *, warmup: float = 0.05, final: float = 0.01) -> LRScheduler:
    """Linear rise over the share `warmup` of the steps, then half a cosine down to `final` of the peak."""
    n_warmup = max(1, round(warmup * total_steps))

    def factor(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        share = min(1.0, (step - n_warmup) / max(1, total_steps - n_warmup))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * share))

    return LambdaLR(optimizer, factor)


def exponential(optimizer: Optimizer, total_steps: int, *, final: float = 1e-3) -> LRScheduler:
    """The same factor each step, down to `final` of the first rate at the end."""
    if not 0 < final <= 1:
        raise ValueError(f"final must lie in (0, 1], got {final}")
    return LambdaLR(optimizer, lambda step: final ** (step / max(1, total_steps)))


def staircase(optimizer: Optimizer, total_steps: int, *, n_stages: int = 5, factor: float = 0.5) -> LRScheduler:
    """The rate times `factor` after each of `n_stages` equal parts of the training."""
    if n_stages < 1 or not 0 < factor <= 1:
        raise ValueError(f"n_stages {n_stages} must be positive and factor {factor} in (0, 1]")
    return LambdaLR(optimizer, lambda step: factor ** min(n_stages * step // max(1, total_steps), n_stages - 1))


def one_cycle(
    optimizer: Optimizer, total_steps: int, *, rise: float = 0.3, start: float = 25.0, end: float = 1e4
) -> LRScheduler:
    """Smith and Topin (2019): up to the optimiser's learning rate over the share `rise`, then down to next to nothing.

    The momentum (Adam's first beta) goes the other way, from 0.95 to 0.85 and back, whatever the optimiser's own.

    start: the optimiser's rate over the first one. end: the first rate over the last one.
    """
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=rise,
        div_factor=start,
        final_div_factor=end,
    )
