"""A flow between prior and posterior that takes any number of sensors anywhere: a transformer over what they read."""

import math
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duhamel.fields import Grid

OCTAVES = 4
LATENTS = 8
PATHS = 4
ODE_STEPS = 12
Tokens = Float[Tensor, "batch sensor feature"]


class SensorFlow(nn.Module):
    """q(z | readings): the flow of dz/dt = v(z, t, readings) from the prior at t = 0 to the posterior at t = 1.

    Lipman et al. (2023), ICLR, equations 20 to 23, straight paths; for posteriors Dax et al. (2023), NeurIPS. A reading
    is a token (place, time, value); a few latent tokens attend to all readings and to one another, layer by layer
    (Jaegle et al. 2021, ICML), at a cost linear in the number of readings. Their order is lost, their number kept.

    dim: of z. grid: on whose domain sensors lie. n_times: steps of the trajectory that are seen.
    """

    def __init__(
        self, dim: int, grid: Grid, n_times: int, *, width: int = 64, n_layers: int = 2, depth: int = 4
    ) -> None:
        super().__init__()
        self.dim, self.grid, self.n_times = dim, grid, n_times
        self.embed = nn.Sequential(
            nn.Linear(2 * OCTAVES * grid.ndim + n_times + 2, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.latents = nn.Parameter(torch.randn(1, LATENTS, width) / math.sqrt(width))
        self.read = nn.ModuleList(nn.MultiheadAttention(width, 4, batch_first=True) for _ in range(n_layers))
        self.think = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(n_layers)
        )
        self.enter = nn.Linear(LATENTS * width + 1 + dim + 2 * OCTAVES + 1, 4 * width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(4 * width), nn.Linear(4 * width, 4 * width), nn.GELU(), nn.Linear(4 * width, 4 * width)
            )
            for _ in range(depth)
        )
        self.leave = nn.Linear(4 * width, dim)
        self.register_buffer("noise", torch.ones(()))
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("scale", torch.ones(2))

    def fit_scales(self, states: Tensor, noise: float) -> None:
        """What makes readings of these states with noise of this standard deviation features of unit variance."""
        cast(Tensor, self.noise).fill_(noise)
        for i, values in enumerate(self._values(states)):
            cast(Tensor, self.centre)[i], cast(Tensor, self.scale)[i] = values.mean(), values.std()

    def _values(self, readings: Tensor) -> tuple[Tensor, Tensor]:
        """Readings, and asinh of them in units of the noise: their size's logarithm where the noise is small."""
        return readings, torch.asinh(readings / cast(Tensor, self.noise))

    def tokens(
        self, positions: Float[Tensor, "place axis"], values: Float[Tensor, "batch reading"]
    ) -> Float[Tensor, "batch reading feature"]:
        """Features of readings: all places at the first time, then at the next."""
        origin = torch.tensor(self.grid.origin).to(values)
        extent = torch.tensor(self.grid.extent).to(values)
        places = _waves((positions.to(values) - origin) / extent).flatten(1)
        times = torch.eye(self.n_times, dtype=values.dtype, device=values.device)
        where = torch.cat(
            [places.repeat(self.n_times, 1), times.repeat_interleave(len(places), dim=0)],
            dim=1,
        )
        read = (torch.stack(self._values(values), dim=2) - cast(Tensor, self.centre)) / cast(Tensor, self.scale)
        return torch.cat([where.expand(len(values), -1, -1), read], dim=2)

    def context(self, tokens: Tokens) -> Float[Tensor, "batch context"]:
        """What the readings say, whatever their order."""
        readings = self.embed(tokens)
        latents = self.latents.expand(len(tokens), -1, -1)
        for read, think in zip(self.read, self.think, strict=True):
            latents = think(latents + read(latents, readings, readings, need_weights=False)[0])
        number = torch.full((len(tokens), 1), math.log(tokens.shape[1]), dtype=tokens.dtype, device=tokens.device)
        return torch.cat([latents.flatten(1), number], dim=1)

    def forward(
        self, z: Float[Tensor, "batch dim"], t: Float[Tensor, " batch"], context: Float[Tensor, "batch context"]
    ) -> Float[Tensor, "batch dim"]:
        """The velocity v(z, t)."""
        h = self.enter(torch.cat([context, z, _waves(t[:, None]).flatten(1), t[:, None]], dim=1))
        for block in self.blocks:
            h = h + block(h)
        return self.leave(h)

    def loss(self, z: Float[Tensor, "batch dim"], tokens: Tokens, generator: torch.Generator) -> Float[Tensor, ""]:
        """E |v((1 - t) e + t z, t) - (z - e)|^2 over e ~ N(0, I), the prior of z, PATHS times a row.

        t is drawn where the sampler steps: narrow posteriors are made near t = 1.
        """
        context = self.context(tokens).repeat(PATHS, 1)
        z = z.repeat(PATHS, 1)
        start = torch.randn(z.shape, generator=generator, dtype=z.dtype)
        t = _time(torch.rand(len(z), generator=generator, dtype=z.dtype))
        path = start + t[:, None] * (z - start)
        return (self(path, t, context) - (z - start)).square().mean()

    @torch.no_grad()
    def sample(self, tokens: Tokens, n_draws: int, generator: torch.Generator) -> Float[Tensor, "batch draw dim"]:
        """Draws for each row of tokens, by the classical Runge-Kutta method."""
        context = self.context(tokens).repeat_interleave(n_draws, dim=0)
        z = torch.randn(len(context), self.dim, generator=generator, dtype=context.dtype)
        times = _time(torch.linspace(0, 1, ODE_STEPS + 1, dtype=z.dtype))
        for start, dt in zip(times, times.diff(), strict=False):
            t = start.expand(len(z))
            k1 = self(z, t, context)
            k2 = self(z + dt / 2 * k1, t + dt / 2, context)
            k3 = self(z + dt / 2 * k2, t + dt / 2, context)
            k4 = self(z + dt * k3, t + dt, context)
            z = z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return z.unflatten(0, (-1, n_draws))


def _time(s: Tensor) -> Tensor:
    """From s uniform on [0, 1] to times that are dense at 1."""
    return 1 - (1 - s) ** 2


def _waves(x: Float[Tensor, "row axis"]) -> Float[Tensor, "row axis wave"]:
    """sin and cos of pi 2^k x, k = 0, 1, ...: numbers in [0, 1] told apart at several scales."""
    angles = x[..., None] * (math.pi * 2.0 ** torch.arange(OCTAVES, dtype=x.dtype, device=x.device))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
