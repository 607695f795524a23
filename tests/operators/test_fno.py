"""The Fourier neural operator: symmetries, resolution, inputs."""

import pytest
import torch

from duhamel.fields import Boundary, Parameters
from duhamel.fields.transfer import resample
from duhamel.operators import FNO, Persistence, pointwise
from tests.operators.problems import line, plane


def inputs(problem, shape, generator):
    batch = 2
    u = torch.randn(batch, len(problem.channels), *shape, generator=generator, dtype=torch.float64)
    return u, Parameters(
        torch.randn(batch, len(problem.scalars), generator=generator, dtype=torch.float64),
        torch.randn(batch, len(problem.coefficients), *shape, generator=generator, dtype=torch.float64),
    )


def test_commutes_with_shifts_on_a_circle(generator):
    model = FNO(line(), n_modes=8, width=6, n_layers=2).double()
    u, params = inputs(line(), (32,), generator)
    torch.testing.assert_close(model(u.roll(5, 2), params), model(u, params).roll(5, 2), rtol=0, atol=1e-12)


def test_position_gives_up_that_symmetry(generator):
    model = FNO(line(), n_modes=8, width=6, n_layers=2, position=True).double()
    u, params = inputs(line(), (32,), generator)
    assert (model(u.roll(5, 2), params) - model(u, params).roll(5, 2)).abs().max() > 1e-4


def test_converges_under_refinement(generator):
    """Band-limited input: the outputs at n and 2n are the same function up to aliasing, which falls with n."""
    problem = line(16)
    model = FNO(problem, n_modes=8, width=6, n_layers=2).double()
    coarse = (
        FNO(problem, n_modes=6, width=1, n_layers=1, mlp_expansion=0.0)
        .double()
        .blocks[0]
        .spectral(torch.randn(1, 1, 16, generator=generator, dtype=torch.float64))
    )
    params = Parameters(torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 0, 16, dtype=torch.float64))
    outputs = {}
    for n in (16, 32, 64, 512):
        grid = problem.grid.with_shape((n,))
        u = resample(coarse, problem.grid, grid)
        outputs[n] = resample(
            model(u, Parameters(params.scalars, torch.zeros(1, 0, n, dtype=torch.float64))), grid, problem.grid
        )
    errors = [(outputs[n] - outputs[512]).norm().item() for n in (16, 32, 64)]
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.1 * errors[0]


@pytest.mark.parametrize("problem", [line(), plane()], ids=["line", "plane"])
def test_every_parameter_and_every_input_matters(problem, generator):
    model = FNO(problem, n_modes=4, width=4, n_layers=2, padding=0.25, position=True).double()
    u, params = inputs(problem, problem.grid.shape, generator)
    u.requires_grad_()
    scalars, fields = params.scalars.requires_grad_(), params.fields.requires_grad_()
    model(u, Parameters(scalars, fields)).square().sum().backward()
    for tensor in (u, scalars, fields, *model.parameters()):
        assert tensor.numel() == 0 or (tensor.grad is not None and tensor.grad.abs().max() > 0)


def test_padding_keeps_the_shape_and_extends_only_axes_that_are_not_periodic(generator):
    u, params = inputs(line(), (32,), generator)
    periodic = FNO(line(), n_modes=8, width=4, padding=0.5).double()
    assert periodic._pad(u).shape == u.shape
    bounded = FNO(line(boundary=Boundary.DIRICHLET), n_modes=8, width=4, padding=0.5).double()
    assert bounded._pad(u).shape == (2, 1, 48)
    assert bounded(u, params).shape == u.shape


def test_persistence_is_a_zero_increment(generator):
    u, params = inputs(line(), (32,), generator)
    assert not Persistence(line())(u, params).any()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="names 2 axes, the problem has 1"):
        FNO(line(), n_modes=(8, 8))
    with pytest.raises(ValueError, match="'int8' is none of"):
        FNO(line(), spectral_precision="int8")
    with pytest.raises(ValueError, match=r"'tf32' is none of .*; TF32 is .* float32: matmul_precision=high"):
        FNO(line(), spectral_precision="tf32")
    with pytest.raises(TypeError, match="n_mode"):
        FNO(line(), n_mode=8)


def test_pointwise_layers_are_the_same_maps_with_their_points_in_parts(monkeypatch, generator):
    """As on a GPU: outputs, gradients of weights, bias and input."""
    u = torch.randn(2, 3, 4, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    v = torch.randn(2, 5, 4, 6, dtype=torch.float64, generator=generator)
    layer = pointwise.Pointwise(3, 5).double()

    def outcome() -> list[torch.Tensor]:
        out = layer.add_to(layer(u) * v, u)
        return [out, *torch.autograd.grad((out**2).sum(), [u, *layer.parameters()])]

    whole = outcome()
    monkeypatch.setattr(pointwise, "_parts", lambda channels, u: 4)
    for split, expected in zip(outcome(), whole, strict=True):
        torch.testing.assert_close(split, expected, rtol=1e-12, atol=1e-12)
