"""Weights of neuraloperator's FNO and TFNO in our FNO, and back: the same function, complex numbers as real pairs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from duhamel.fields import Problem
from duhamel.operators.fno import FNO
from duhamel.operators.spectral_weights import DenseWeight, TuckerWeight

CONV, SKIP = "fno_blocks.convs", "fno_blocks.fno_skips"
MLP, GATE = "fno_blocks.channel_mlp", "fno_blocks.channel_mlp_skips"
LIFTING = ("lifting.inner.weight", "lifting.inner.bias")


class Entry(NamedTuple):
    """One tensor under both names, and how each library's is made from the other's."""

    theirs: str
    ours: str
    read: Callable[[Tensor], Tensor]
    write: Callable[[Tensor], Tensor]


def from_neuraloperator(state: Mapping[str, Any], problem: Problem) -> FNO:
    """The FNO that computes what a `neuralop.models.FNO` or `TFNO` (2.0) with this state dict computes.

    Sizes, ranks and the use of its grid embedding are read off the tensors; the number of modes of the last axis is
    taken to be even. Input channels are state, parameters, coefficients, in the order of `problem`. Its embedding puts
    samples at i / n, ours where the problem's grid has them: the difference goes into the lifting, so that outputs
    agree on grids of that size.
    Raises ValueError, naming the tensor, for what our FNO does not have (norms, other skips, tensor trains) and for a
    problem of other dimension or inputs.
    """
    tensors = {name: torch.as_tensor(value).detach() for name, value in state.items() if name != "_metadata"}
    for name in (f"{CONV}.0.bias", f"{SKIP}.0.conv.weight", "lifting.fcs.1.weight", "projection.fcs.1.weight"):
        if name not in tensors:
            raise ValueError(f"{name} is missing: not the state dict of a FNO of neuraloperator 2.0 with linear skips")
    dim, bias = problem.grid.ndim, tensors[f"{CONV}.0.bias"]
    if bias.ndim - 1 != dim:
        raise ValueError(f"{CONV}.0.bias: a model of {bias.ndim - 1} dimensions, the problem has {dim}")
    n_inputs = len(problem.channels) + len(problem.scalars) + len(problem.coefficients)
    n_taken = tensors["lifting.fcs.0.weight"].shape[1]
    if n_taken not in (n_inputs, n_inputs + dim):
        raise ValueError(f"lifting.fcs.0.weight: {n_taken} input channels, the problem has {n_inputs} (and {dim} axes)")
    width, hidden = tensors["lifting.fcs.1.weight"].shape[:2]
    if (mlp := tensors.get(f"{MLP}.0.fcs.0.weight")) is None:
        raise ValueError(
            f"{MLP}.0.fcs.0.weight is missing: without it neuraloperator's activation acts twice, ours once"
        )
    operator = FNO(
        problem,
        width=width,
        n_layers=1 + max(int(name.split(".")[2]) for name in tensors if name.startswith(CONV)),
        mlp_expansion=mlp.shape[0] / width,
        lifting=hidden / width,
        position=n_taken > n_inputs,
        **_spectral_arguments(tensors),
    )
    entries = {entry.theirs: entry for entry in _entries(operator)}
    if wrong := sorted(set(tensors) ^ set(entries)):
        raise ValueError(f"{wrong[0]}: one of {len(wrong)} tensors that only one of the two libraries' FNOs has")
    ours = {entry.ours: entry.read(tensors[name]) for name, entry in entries.items()}
    if operator.position:
        _move_samples(operator, ours, back=False)
    operator.load_state_dict(ours)
    return operator


def to_neuraloperator(operator: FNO) -> dict[str, Tensor]:
    """A state dict that `neuralop.models.FNO` of the same sizes loads; the inverse of `from_neuraloperator`.

    Raises ValueError for padded operators (neuraloperator pads otherwise) and for those without pointwise networks.
    """
    if any(block.mlp is None for block in operator.blocks):
        raise ValueError(
            "mlp_expansion 0: without pointwise networks neuraloperator's activation acts twice, ours once"
        )
    if operator.padding:
        raise ValueError(f"an operator with padding {operator.padding} is no function of neuraloperator's FNO")
    ours = {name: tensor.detach().clone() for name, tensor in operator.state_dict().items()}
    if unknown := sorted(set(ours) - {entry.ours for entry in _entries(operator)}):
        raise ValueError(f"{unknown[0]}: neuraloperator's FNO has no such part")
    if operator.position:
        _move_samples(operator, ours, back=True)
    return {entry.theirs: entry.write(ours[entry.ours]) for entry in _entries(operator)}


def _spectral_arguments(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    prefix = f"{CONV}.0.weight"
    factors = [tensors[f"{prefix}.factors.factor_{i}"] for i in range(8) if f"{prefix}.factors.factor_{i}" in tensors]
    kept = [len(f) for f in factors[2:]]
    arguments: dict[str, Any] = {}
    if f"{prefix}.tensor" in tensors:
        kept = list(tensors[f"{prefix}.tensor"].shape[2:])
    elif f"{prefix}.core" in tensors:
        arguments = {"weight": "tucker", "rank": tuple(tensors[f"{prefix}.core"].shape)}
    elif f"{prefix}.weights" in tensors:
        arguments = {"weight": "cp", "rank": len(tensors[f"{prefix}.weights"])}
    else:
        raise ValueError(f"{prefix}: neither dense nor of Tucker or CP form")
    return {"n_modes": (*kept[:-1], 2 * (kept[-1] - 1)), **arguments}


def _entries(operator: FNO) -> Iterator[Entry]:
    """All tensors of an operator in the order of its parts."""
    dim = operator.problem.grid.ndim
    for part in ("lifting", "projection"):
        yield from _pointwise_network(f"{part}.fcs", part)
    for i, block in enumerate(operator.blocks):
        spectral = block.get_submodule("spectral.weight")
        yield from _multiplier(f"{CONV}.{i}.weight", f"blocks.{i}.spectral.weight", spectral, dim)
        yield Entry(f"{CONV}.{i}.bias", f"blocks.{i}.spectral.bias", _flat, _spread(0, dim))
        yield Entry(f"{SKIP}.{i}.conv.weight", f"blocks.{i}.skip.weight", _squeezed, _unsqueezed)
        yield from _pointwise_network(f"{MLP}.{i}.fcs", f"blocks.{i}.mlp", last_bias="bias")
        yield Entry(f"{GATE}.{i}.weight", f"blocks.{i}.mlp.gate", _flat, _spread(1, dim))


def _pointwise_network(theirs: str, ours: str, *, last_bias: str = "outer.bias") -> Iterator[Entry]:
    yield Entry(f"{theirs}.0.weight", f"{ours}.inner.weight", _squeezed, _unsqueezed)
    yield Entry(f"{theirs}.0.bias", f"{ours}.inner.bias", _flat, _flat)
    yield Entry(f"{theirs}.1.weight", f"{ours}.outer.weight", _squeezed, _unsqueezed)
    yield Entry(f"{theirs}.1.bias", f"{ours}.{last_bias}", _flat, _flat)


def _multiplier(theirs: str, ours: str, weight: nn.Module, dim: int) -> Iterator[Entry]:
    if isinstance(weight, DenseWeight):
        yield Entry(f"{theirs}.tensor", f"{ours}.multiplier", _dense_pairs, _dense_complex)
        return
    whole = "core" if isinstance(weight, TuckerWeight) else "weights"
    yield Entry(f"{theirs}.{whole}", f"{ours}.{whole}", _pairs, _complex)
    for i in range(2 + dim):
        yield Entry(f"{theirs}.factors.factor_{i}", f"{ours}.factors.{i}", _pairs, _complex)


def _pairs(t: Tensor) -> Tensor:
    return torch.view_as_real(t if t.is_complex() else torch.complex(t, torch.zeros_like(t)))


def _complex(t: Tensor) -> Tensor:
    return torch.view_as_complex(t.contiguous())


def _dense_pairs(t: Tensor) -> Tensor:
    """(in, out, modes...) complex as (modes..., in, 2, out)."""
    return _pairs(t).permute(*range(2, t.ndim), 0, t.ndim, 1).contiguous()


def _dense_complex(t: Tensor) -> Tensor:
    dim = t.ndim - 3
    return _complex(t.permute(dim, dim + 2, *range(dim), dim + 1))


def _flat(t: Tensor) -> Tensor:
    return t.flatten()


def _squeezed(t: Tensor) -> Tensor:
    return t[..., 0]


def _unsqueezed(t: Tensor) -> Tensor:
    return t[..., None]


def _spread(before: int, after: int) -> Callable[[Tensor], Tensor]:
    return lambda t: t[(None,) * before + (slice(None),) + (None,) * after]


def _move_samples(operator: FNO, state: dict[str, Tensor], *, back: bool) -> None:
    """Rewrites the lifting for samples at q = q_0 + i h instead of p = i / n, or `back`: p = (q - q_0) / (h n)."""
    grid, weight, bias = operator.problem.grid, *(state[name].clone() for name in LIFTING)
    for axis, (x, origin, extent) in enumerate(zip(grid.coordinates(), grid.origin, grid.extent, strict=True)):
        q = ((x - origin) / extent).tolist()
        scale = 1 / ((q[1] - q[0]) * len(q))
        column = axis - grid.ndim
        if back:
            weight[:, column] /= scale
            bias += weight[:, column] * scale * q[0]
        else:
            bias -= weight[:, column] * scale * q[0]
            weight[:, column] *= scale
    state.update(zip(LIFTING, (weight, bias), strict=True))
