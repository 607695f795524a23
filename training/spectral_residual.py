"""Training without data: the mean square of an equation's residual, from coefficients, by Parseval's identity."""

import math
from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Parameters, State, Trajectory, resample
from duhamel.operators import NSM, Normaliser, Surrogate
from duhamel.operators.spectral_basis import Basis, Expansion
from duhamel.pdes import EvolutionPDE


class SpectralResidual(ABC):
    """Mean over samples and channels of ||R||^2, R the residual of the whole solution of a neural spectral method.

    No quadrature and no difference quotient enter: derivatives act on coefficients, products are taken where twice as
    many of them fit, and Parseval's identity turns the coefficients of R into its norm, in dx along Fourier axes and in
    the measure of the Chebyshev nodes along others.

    order: of the Sobolev norm over Fourier axes, 0 for L2, as published. R of an equation of second order in L2 hardly
        sees its largest scales; -1, the norm of weak formulations, lies half way to the error itself.
    weighted: Parseval's weights; without them the plain sum of squared coefficients, as published: an equivalent norm.
    Source: Du, Chalapathi and Krishnapriyan (2024), Neural Spectral Methods, ICLR, section 3.
    Raises ValueError for another operator than NSM, or one whose normaliser changes units.
    """

    def __init__(self, *, order: float = 0.0, weighted: bool = True) -> None:
        self.order, self.weighted = order, weighted
        self._in_its_own_units: Normaliser | None = None  # one look: a look at each step would wait for the device

    def __call__(self, surrogate: Surrogate, batch: Trajectory) -> Float[Tensor, ""]:
        operator = surrogate.operator
        if not isinstance(operator, NSM):
            raise ValueError(
                f"a spectral residual needs an operator of coefficients (NSM), got {type(operator).__name__}"
            )
        if self._in_its_own_units is not surrogate.normaliser and not surrogate.normaliser.is_identity():
            raise ValueError(
                "a spectral residual is that of the equation in its own units: the data module must not normalise "
                "(duhamel.datasets.FreshDataModule), nor log_scaled name anything"
            )
        self._in_its_own_units = surrogate.normaliser
        residual = self.residual(operator, batch.u[:, 0], batch.params)
        if self.order:
            extent = operator.trained_grid.extent
            residual = residual.sobolev(self.order, extent if operator.problem.steady else (1.0, *extent))
            # Of order one as in L2: a wave as long as the longest side counts as it does there.
            scale = (1 + (2 * math.pi / max(extent)) ** 2) ** -self.order
        else:
            scale = 1.0
        return scale * residual.mean_square(weighted=self.weighted).mean()

    @abstractmethod
    def residual(self, operator: NSM, u: State, params: Parameters) -> Expansion:
        """R over the unit box, (batch, channel, *mode) coefficients."""


class PoissonResidual(SpectralResidual):
    """-Lap u - f, f the first coefficient field."""

    def residual(self, operator: NSM, u: State, params: Parameters) -> Expansion:
        solution = operator.expansion(u, params)
        extent, points = operator.trained_grid.extent, operator.points(operator.grid_of(u))
        total = -Expansion.fitted(params.fields[:, :1], solution.bases, points).coefficients
        for axis, side in enumerate(extent):
            total = total - solution.differentiated(axis, order=2).coefficients / side**2
        return Expansion(total, solution.bases)


class EvolutionResidual(SpectralResidual):
    """u_t - F(u; mu) of any equation on periodic axes, F its own `tendency` on a grid of twice the coefficients."""

    def __init__(self, pde: EvolutionPDE, *, order: float = 0.0, weighted: bool = True) -> None:
        super().__init__(order=order, weighted=weighted)
        self.pde = pde

    def residual(self, operator: NSM, u: State, params: Parameters) -> Expansion:
        problem, solution = operator.problem, operator.expansion(u, params)
        if problem.steady or not all(problem.grid.periodic):
            raise ValueError(
                f"an evolution on periodic axes is needed, got dt = {problem.dt} on {problem.grid.boundary}"
            )
        fine: tuple[Basis, ...] = tuple(type(basis)(2 * basis.n) for basis in solution.bases)
        grid = problem.grid.with_shape(tuple(basis.n for basis in fine[1:]))
        times, points = fine[0].nodes(), operator.points(grid)
        at = [times, *points]
        values = solution.at(at).transpose(1, 2)
        u_t = solution.differentiated(0).at(at) / problem.dt
        fields = resample(params.fields, operator.grid_of(u), grid)
        repeated = Parameters(params.scalars, fields).repeat_interleave(len(times))
        tendency = self.pde.tendency(values.flatten(0, 1), repeated, grid).unflatten(0, values.shape[:2])
        return Expansion.fitted(u_t - tendency.transpose(1, 2), fine, at)
