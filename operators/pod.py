"""Linear regression between principal components: what any network should beat."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Parameters, Problem, State, Trajectory
from duhamel.operators.base import Operator
from duhamel.operators.normaliser import Normaliser


class PODRegression(Operator):
    """G(u, mu) = Phi A [1, c, s, s c] with c = Psi^T (u, a): least squares between proper orthogonal decompositions.

    Psi holds the leading principal directions of the inputs (state and coefficient fields), Phi those of the outputs, A
    comes from ridge regression on the training windows, with products of components and numbers s so that a number can
    scale the dynamics. Nothing is learned by gradients: `fit` solves for all of it.

    rank: of both decompositions. ridge: of the regression, relative to the largest eigenvalue. n_states: of training,
    at most so many are used, the first.
    Source: Berkooz, Holmes and Lumley (1993) for the decomposition; Peherstorfer and Willcox (2016) for the regression.
    """

    own_resolution_bound = "its basis is samples on the trained grid"

    inputs: Float[Tensor, "feature rank"]
    outputs: Float[Tensor, "feature_out rank"]
    weights: Float[Tensor, "regressor rank"]
    mean: Float[Tensor, " feature"]

    def __init__(self, problem: Problem, *, rank: int = 32, ridge: float = 1e-8, n_states: int = 4000) -> None:
        super().__init__(problem)
        points = torch.Size(problem.grid.shape).numel()
        n_in = (len(problem.channels) + len(problem.coefficients)) * points
        n_out, n_scalars = len(problem.channels) * points, len(problem.scalars)
        if not 1 <= rank <= n_out or ridge < 0:
            raise ValueError(f"rank must lie in [1, {n_out}] and ridge not be negative, got {rank} and {ridge}")
        self.rank, self.ridge, self.n_states = rank, ridge, n_states
        self.register_buffer("inputs", torch.zeros(n_in, rank))
        self.register_buffer("outputs", torch.zeros(n_out, rank))
        self.register_buffer("weights", torch.zeros((1 + rank) * (1 + n_scalars), rank))
        self.register_buffer("mean", torch.zeros(n_in))

    def forward(self, u: State, params: Parameters) -> State:
        flat = self._regressors(self._components(u, params), params.scalars) @ self.weights @ self.outputs.T
        return flat.reshape(u.shape)

    def fit(self, windows: Iterable[Trajectory], normaliser: Normaliser) -> None:
        """Raises ValueError where there are fewer states than components."""
        inputs, scalars, outputs = [], [], []
        n = 0
        for window in windows:
            z = normaliser.encode(window.u.flatten(0, 1)).unflatten(0, window.u.shape[:2])
            params = normaliser.encode_parameters(window.params).repeat_interleave(window.n_steps)
            before, after = z[:, :-1].flatten(0, 1), z[:, 1:].flatten(0, 1)
            inputs.append(self._features(before, params))
            scalars.append(params.scalars)
            outputs.append(normaliser.output(before, after).flatten(1))
            n += len(before)
            if n >= self.n_states:
                break
        x, s, y = (torch.cat(part)[: self.n_states].double() for part in (inputs, scalars, outputs))
        if len(x) < self.rank:
            raise ValueError(f"{len(x)} training states cannot span {self.rank} components; lower rank")
        self.mean.copy_(x.mean(0))
        self.inputs.copy_(_directions(x - x.mean(0), self.rank))
        self.outputs.copy_(_directions(y, self.rank))
        regressors = self._regressors((x - x.mean(0)) @ self.inputs.double(), s)
        gram = regressors.T @ regressors
        gram += self.ridge * torch.linalg.eigvalsh(gram)[-1] * torch.eye(len(gram), dtype=gram.dtype)
        self.weights.copy_(torch.linalg.solve(gram, regressors.T @ (y @ self.outputs.double())))

    def _features(self, u: State, params: Parameters) -> Float[Tensor, "batch feature"]:
        return torch.cat([u, params.fields], dim=1).flatten(1)

    def _components(self, u: State, params: Parameters) -> Float[Tensor, "batch rank"]:
        return (self._features(u, params) - self.mean) @ self.inputs

    @staticmethod
    def _regressors(
        c: Float[Tensor, "batch rank"], scalars: Float[Tensor, "batch param"]
    ) -> Float[Tensor, "batch regressor"]:
        one = torch.ones_like(c[:, :1])
        c, s = torch.cat([one, c], dim=1), torch.cat([one, scalars.to(c)], dim=1)
        return (s[:, :, None] * c[:, None, :]).flatten(1)


def _directions(x: Float[Tensor, "batch feature"], rank: int) -> Float[Tensor, "feature rank"]:
    """Leading right singular vectors."""
    return torch.linalg.svd(x, full_matrices=False).Vh[:rank].T
