"""Coefficients with many scales at once."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.grid import Grid


@dataclass(frozen=True, kw_only=True)
class MultiscaleTrigonometric:
    """prod_{k=1..n_scales} (1 + cos(a_k pi (x + y)) / 2) (1 + sin(a_k pi (y - 3 x)) / 2) over the unit square.

    a_k is uniform in [2^(k-1), 1.5 2^(k-1)]. The shortest wave of the default six scales is 1 / 76 long (the sine's, of
    48 sqrt(10) half waves along its gradient): grids of less than some 300 points an axis do not see it.

    Source: Liu, Xu and Zhang (2022), "HANO"; He, Liu and Xu (2024), MgNO, section 5.1.
    """

    n_scales: int = 6

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        if grid.ndim != 2:
            raise ValueError(f"these coefficients are functions of the plane, got a grid of shape {grid.shape}")
        device = generator.device
        mesh = grid.mesh(device=device)
        x, y = ((c - o) / side for c, o, side in zip(mesh, grid.origin, grid.extent, strict=True))
        fields = []
        for _ in range(n_samples):
            draws = torch.rand(self.n_scales, generator=generator, dtype=torch.float64, device=device).tolist()
            a = torch.ones_like(x)
            for k, draw in enumerate(draws):
                frequency = math.pi * 2**k * (1 + draw / 2)
                a = a * (1 + torch.cos(frequency * (x + y)) / 2) * (1 + torch.sin(frequency * (y - 3 * x)) / 2)
            fields.append(a)
        return torch.stack(fields)
