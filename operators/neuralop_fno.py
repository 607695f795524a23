"""neuraloperator's own FNO behind our interface: the rival that every comparison meets on equal terms."""

import torch
from torch import Tensor, nn

from duhamel.fields import Parameters, Problem, State
from duhamel.operators.base import Operator
from duhamel.operators.pointwise import broadcast_scalars


class NeuralopFNO(Operator):
    """`neuralop.models.FNO` with its defaults (grid embedding included), fed with the inputs of our `FNO`.

    n_modes, hidden_channels, n_layers, positional_embedding: as neuraloperator names and counts them; its embedding
        breaks translation equivariance and takes the domain for the unit cube, None leaves it out.
    Its spectral weights are complex: neither bfloat16 weights nor `.double()` work. On a GPU its transforms refuse
    bfloat16 under autocast (neuraloperator 2.0.0): there it computes in float32, whatever the trainer's precision.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        n_modes: int | tuple[int, ...] = 16,
        hidden_channels: int = 32,
        n_layers: int = 4,
        positional_embedding: str | None = "grid",
    ) -> None:
        super().__init__(problem)
        # Imported here: neuraloperator takes a second to import, and no other operator needs it.
        from neuralop.models import FNO

        dim = problem.grid.ndim
        modes = (n_modes,) * dim if isinstance(n_modes, int) else tuple(n_modes)
        self.model: nn.Module = FNO(
            n_modes=modes,
            in_channels=len(problem.channels) + len(problem.scalars) + len(problem.coefficients),
            out_channels=len(problem.channels),
            hidden_channels=hidden_channels,
            n_layers=n_layers,
            positional_embedding=positional_embedding,
        )
        self.register_state_dict_post_hook(_drop_metadata)  # type: ignore[no-untyped-call]

    def forward(self, u: State, params: Parameters) -> State:
        inputs = torch.cat([u, broadcast_scalars(params.scalars, tuple(u.shape[2:])), params.fields], dim=1)
        if u.device.type != "cuda" or not torch.is_autocast_enabled("cuda"):
            prediction: Tensor = self.model(inputs)
            return prediction
        with torch.autocast("cuda", enabled=False):
            in_float32: Tensor = self.model(inputs.float())
        return in_float32


def _drop_metadata(module: nn.Module, state: dict[str, object], prefix: str, local_metadata: object) -> None:
    """Its models put a dict among their tensors, which strict loading, weights_only and safetensors all refuse."""
    state.pop("_metadata", None)
