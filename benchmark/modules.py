"""Models of other libraries as contenders: any module that maps fields to fields."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from duhamel.benchmark.contenders import Given
from duhamel.fields import Parameters, State


class Module(Given):
    """A torch module u_next = scale * model([u, numbers spread over the grid, coefficient fields]) + shift.

    As neuraloperator, PhysicsNeMo and most others have it: one tensor (batch, channel, *space) in, one out, channels in
    the order state, numbers, coefficients. takes_state: false leaves the state out (the guess of a stationary problem).

    weights: a state dict of tensors, .safetensors or .pt (read without unpickling code): drop neuraloperator's entry
        `_metadata`, which holds functions, before saving it.
    input_shift, input_scale: of each input channel, subtracted and divided by. shift, scale: of each output channel.
    increments: the model returns u(t + dt) - u(t).
    data_seconds, training_seconds, tuning_seconds: nobody else knows them, so they are asked for (0: there was none).
    """

    def __init__(
        self,
        module: nn.Module,
        weights: str,
        *,
        data_seconds: float,
        training_seconds: float,
        tuning_seconds: float | None = None,
        input_shift: Sequence[float] = (0.0,),
        input_scale: Sequence[float] = (1.0,),
        shift: Sequence[float] = (0.0,),
        scale: Sequence[float] = (1.0,),
        takes_state: bool = True,
        increments: bool = False,
    ) -> None:
        module.load_state_dict(state_dict(Path(weights)))
        step = _Step(module.eval(), (input_shift, input_scale, shift, scale), takes_state, increments)
        super().__init__(
            step,
            kind="surrogate",
            data_seconds=data_seconds,
            training_seconds=training_seconds,
            tuning_seconds=tuning_seconds,
        )


class _Step(nn.Module):
    def __init__(
        self, model: nn.Module, affine: Sequence[Sequence[float]], takes_state: bool, increments: bool
    ) -> None:
        super().__init__()
        self.model, self.takes_state, self.increments = model, takes_state, increments
        self.affine = [torch.tensor(list(values), dtype=torch.float32) for values in affine]

    def forward(self, u: State, params: Parameters) -> State:
        input_shift, input_scale, shift, scale = (
            values.to(u).reshape(1, -1, *(1,) * (u.ndim - 2)) for values in self.affine
        )
        numbers = params.scalars.reshape(*params.scalars.shape, *(1,) * (u.ndim - 2)).expand(-1, -1, *u.shape[2:])
        parts = [*([u] if self.takes_state else []), numbers, params.fields]
        out: Tensor = self.model((torch.cat(parts, dim=1) - input_shift) / input_scale)
        out = scale * out + shift
        return u + out if self.increments else out


def state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors of a saved state dict. ValueError where the file holds none, or code."""
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path}: no plain state dict ({str(error).splitlines()[0]}); save tensors only") from error
    tensors = {name: value for name, value in saved.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"{path}: holds no tensors by name")
    return tensors
