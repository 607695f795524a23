"""Lorenz's models of weather on a latitude circle: ordinary differential equations on a ring of sites."""

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters, Quantity
from duhamel.fields.runge_kutta import runge_kutta_step
from duhamel.pdes.base import EvolutionPDE, per_sample
from duhamel.pdes.sampling import Distribution, Uniform

FORCINGS, STRONG_FORCINGS = Uniform(7.5, 8.5), Uniform(9.5, 10.5)
COUPLINGS, RATIOS = Uniform(0.9, 1.1), Uniform(9.5, 10.5)
SPIN_UP_STEP = 5e-3


class _Ring(EvolutionPDE):
    """A ring of at least 4 sites; its grid has spacing 1 and is never refined.

    spin_up: time from random states of the size of the climate to initial states, which so lie near the attractor;
        errors of states far from it grow a thousandfold before they reach it.
    """

    continuous = False

    def __init__(self, distributions: tuple[Distribution, ...], spin_up: float) -> None:
        self.distributions = distributions
        self.spin_up = spin_up

    def grid(self, shape: tuple[int, ...]) -> Grid:
        if len(shape) != 1 or shape[0] < 4:
            raise ValueError(f"{self.name} lives on a ring of at least 4 sites, got a grid of shape {shape}")
        return Grid(shape=shape, extent=(float(shape[0]),), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)

    @abstractmethod
    def climate(self, x: Float[Tensor, "batch channel site"]) -> tuple[Tensor, Parameters]:
        """Rough states of the size of the climate from standard normal numbers, and the mean parameters."""

    def sample_initial(
        self, grid: Grid, n_samples: int, generator: torch.Generator
    ) -> Float[Tensor, "batch channel site"]:
        shape = (len(self.channels), *grid.shape)
        # One draw a sample: a single large draw would make a sample depend on how many follow it.
        draws = [
            torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
            for _ in range(n_samples)
        ]
        u, params = self.climate(torch.stack(draws))
        for _ in range(round(self.spin_up / SPIN_UP_STEP)):
            u = runge_kutta_step(lambda u: self.tendency(u, params, grid), u, SPIN_UP_STEP)
        return u

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        columns = [distribution.sample(n_samples, generator) for distribution in self.distributions]
        fields = torch.zeros(n_samples, 0, *grid.shape, dtype=torch.float64, device=generator.device)
        return Parameters(torch.stack(columns, dim=1), fields)


class Lorenz96(_Ring):
    """x_k' = x_{k-1} (x_{k+1} - x_{k-2}) - x_k + F; the scalar `forcing` is F.

    Chaotic at F = 8, where one unit of time stands for 5 days and the leading Lyapunov exponent of 40 sites is 1.7.
    The products keep |x|^2, so that (|x|^2 / 2)' = -|x|^2 + F sum x.

    Source: Lorenz (1996), "Predictability: a problem partly solved", eq. (1).
    """

    name = "lorenz96"
    channels = (Quantity("x"),)
    scalars = (Quantity("forcing"),)

    def __init__(self, *, forcing: Distribution = FORCINGS, spin_up: float = 3.0) -> None:
        super().__init__((forcing,), spin_up)

    def tendency(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        return _advection(u) - u + per_sample(params.scalars[:, 0], u)

    @property
    def lyapunov_exponent(self) -> float | None:
        """Of 40 sites at F = 8."""
        return 1.7

    def climate(self, x: Float[Tensor, "batch channel site"]) -> tuple[Tensor, Parameters]:
        return 2.3 + 3.6 * x, _constant(x, 8.0)


class Lorenz96TwoLevel(_Ring):
    """Slow x_k, each coupled to fast y_1, ..., y_J of its site, which form one ring of J times as many sites.

    x_k' = x_{k-1} (x_{k+1} - x_{k-2}) - x_k + F - (h c / b) sum_j y_{j,k}
    y_{j,k}' = c b y_{j+1,k} (y_{j-1,k} - y_{j+2,k}) - c y_{j,k} + (h c / b) x_k,  y_{J+1,k} = y_{1,k+1}

    Channels are x, then y_1 to y_J. Scalars: `forcing` F, `coupling` h, `time_ratio` c, `amplitude_ratio` b.

    Source: Lorenz (1996), eqs. (2), (3).
    """

    name = "lorenz96_two_level"
    scalars = (
        Quantity("forcing"),
        Quantity("coupling"),
        Quantity("time_ratio", minimum=0.0),
        Quantity("amplitude_ratio", minimum=0.0),
    )

    def __init__(
        self,
        *,
        n_fast: int = 10,
        forcing: Distribution = STRONG_FORCINGS,
        coupling: Distribution = COUPLINGS,
        time_ratio: Distribution = RATIOS,
        amplitude_ratio: Distribution = RATIOS,
        spin_up: float = 3.0,
    ) -> None:
        if n_fast < 4:
            raise ValueError(f"a ring of fast variables needs at least 4 a site, got {n_fast}")
        super().__init__((forcing, coupling, time_ratio, amplitude_ratio), spin_up)
        self.channels = (Quantity("x"), *(Quantity(f"y{j}") for j in range(1, n_fast + 1)))

    def tendency(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        F, h, c, b = (per_sample(column, u) for column in params.scalars.unbind(1))
        x, y = u[:, :1], u[:, 1:]
        # One ring: j runs fastest.
        ring = y.transpose(1, 2).flatten(1).unsqueeze(1)
        reversed_ring = _advection(ring.flip(-1)).flip(-1)
        products = reversed_ring.reshape(y.transpose(1, 2).shape).transpose(1, 2)
        x_t = _advection(x) - x + F - h * c / b * y.sum(dim=1, keepdim=True)
        y_t = c * b * products - c * y + h * c / b * x
        return torch.cat([x_t, y_t], dim=1)

    def climate(self, x: Float[Tensor, "batch channel site"]) -> tuple[Tensor, Parameters]:
        scale = torch.full((x.shape[1], 1), 0.2, dtype=x.dtype, device=x.device)
        scale[0] = 3.5
        return scale * x, _constant(x, 10.0, 1.0, 10.0, 10.0)


def _advection(x: Tensor) -> Tensor:
    """x_{k-1} (x_{k+1} - x_{k-2})."""
    return x.roll(1, -1) * (x.roll(-1, -1) - x.roll(2, -1))


def _constant(x: Tensor, *values: float) -> Parameters:
    return Parameters(x.new_tensor(values).expand(len(x), -1), x.new_zeros(len(x), 0, x.shape[-1]))
