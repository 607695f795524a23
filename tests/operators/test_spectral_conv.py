"""The spectral convolution against its definition, neuraloperator's layer, and its own symmetries."""

import copy
import itertools

import pytest
import torch
from neuralop.layers.spectral_convolution import SpectralConv as NeuralopSpectralConv

from duhamel.fields import Boundary, Centring, Grid, Parameters
from duhamel.fields.transfer import resample
from duhamel.operators import FNO
from duhamel.operators.spectral_conv import SpectralConv
from tests.operators.problems import line

CASES = [((5,), (16,)), ((6,), (17,)), ((8,), (8,)), ((4, 6), (12, 9)), ((5, 4), (9, 8)), ((4, 3, 6), (8, 7, 10))]


def by_definition(layer: SpectralConv, u: torch.Tensor) -> torch.Tensor:
    """F^-1 (R_k F u), one frequency at a time, through complex FFTs."""
    dim = u.ndim - 2
    axes = tuple(range(2, 2 + dim))
    u_hat = torch.fft.rfftn(u, dim=axes, norm="forward")
    multiplier = layer.weight().detach()
    weight = torch.complex(multiplier[..., 0, :], multiplier[..., 1, :])
    out = torch.zeros(u.shape[0], weight.shape[-1], *u_hat.shape[2:], dtype=u_hat.dtype)
    kept = [[k - m // 2 for k in range(m)] for m in layer.n_modes[:-1]] + [list(range(layer.n_modes[-1] // 2 + 1))]
    for places in itertools.product(*(range(len(k)) for k in kept)):
        k = tuple(kept[axis][place] for axis, place in enumerate(places))
        out[(..., *k)] = torch.einsum("bi,io->bo", u_hat[(..., *k)], weight[places])
    return torch.fft.irfftn(out, s=u.shape[2:], dim=axes, norm="forward")


@pytest.mark.parametrize(("n_modes", "shape"), CASES)
def test_equals_definition(n_modes, shape):
    torch.manual_seed(0)
    layer = SpectralConv(3, 4, n_modes=n_modes).double()
    u = torch.randn(2, 3, *shape, dtype=torch.float64)
    torch.testing.assert_close(layer(u), by_definition(layer, u), rtol=0, atol=1e-13)


# neuraloperator 2.0.0 undoes its fftshift by another fftshift, which is wrong on odd axes other than the last.
@pytest.mark.parametrize(("n_modes", "shape"), [((16,), (65,)), ((8, 12), (16, 21)), ((4, 6, 8), (8, 10, 12))])
def test_equals_neuraloperators_layer_on_the_same_weights(n_modes, shape):
    torch.manual_seed(0)
    theirs = NeuralopSpectralConv(3, 5, n_modes, bias=False)
    ours = SpectralConv(3, 5, n_modes=n_modes)
    weight = torch.view_as_real(torch.as_tensor(theirs.weight.to_tensor()).detach())
    dim = len(n_modes)
    with torch.no_grad():
        ours.weight.multiplier.copy_(weight.permute(*range(2, 2 + dim), 0, 2 + dim, 1))
    u = torch.randn(2, 3, *shape)
    torch.testing.assert_close(ours(u), theirs(u), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(32,), (16, 15)])
def test_commutes_with_shifts(shape):
    layer = SpectralConv(2, 2, n_modes=(6,) * len(shape)).double()
    u = torch.randn(1, 2, *shape, dtype=torch.float64)
    shifts, axes = tuple(range(3, 3 + len(shape))), tuple(range(2, 2 + len(shape)))
    torch.testing.assert_close(layer(u.roll(shifts, axes)), layer(u).roll(shifts, axes), rtol=0, atol=1e-13)


def test_commutes_with_resampling_of_band_limited_states():
    layer = SpectralConv(1, 1, n_modes=(6, 6)).double()
    coarse = Grid(shape=(12, 11), extent=(1.0, 2.0), boundary=(Boundary.PERIODIC,) * 2, centring=Centring.NODE)
    fine = coarse.with_shape((31, 24))
    noise = torch.randn(1, 1, 12, 11, dtype=torch.float64)
    band_limited = SpectralConv(1, 1, n_modes=(6, 6)).double()(noise)
    torch.testing.assert_close(
        layer(resample(band_limited, coarse, fine)), resample(layer(band_limited), coarse, fine), rtol=0, atol=1e-12
    )


def test_frequencies_that_are_not_kept_are_annihilated():
    layer = SpectralConv(1, 1, n_modes=(6,)).double()
    x = torch.arange(32, dtype=torch.float64) / 32
    assert layer(torch.cos(2 * torch.pi * 3 * x)[None, None]).abs().max() > 1e-3
    assert layer(torch.cos(2 * torch.pi * 4 * x)[None, None]).abs().max() < 1e-14


def test_gradients():
    layer = SpectralConv(2, 1, n_modes=(3, 4)).double()
    u = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (u,))
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(layer, {"weight.multiplier": w}, (u.detach(),)), (layer.weight.multiplier,)
    )


def test_precision_holds_inside_autocast():
    torch.manual_seed(0)
    u = torch.randn(2, 8, 64)
    exact, lowered = SpectralConv(8, 8, n_modes=(12,), precision=torch.float32), SpectralConv(8, 8, n_modes=(12,))
    lowered.load_state_dict(exact.state_dict())
    reference = exact(u)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(exact(u), reference, rtol=0, atol=0)
        low = lowered(u)
    assert low.dtype is torch.bfloat16
    assert 1e-5 < (low.float() - reference).norm() / reference.norm() < 5e-2


def test_the_precision_of_the_layer_is_its_own():
    """float64: the layer in double precision, with the same weights; float16 lies between bfloat16 and float32."""
    u = torch.randn(2, 8, 64)
    reference = SpectralConv(8, 8, n_modes=(12,), bias=True)
    exact = copy.deepcopy(reference).double()(u.double())
    errors = {}
    for precision in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        layer = SpectralConv(8, 8, n_modes=(12,), bias=True, precision=precision)
        layer.load_state_dict(reference.state_dict())
        out = layer(u)
        assert out.dtype is precision
        errors[precision] = ((out.double() - exact).norm() / exact.norm()).item()
    assert errors[torch.float64] < 1e-14
    assert errors[torch.float32] < 1e-6
    assert 1e-5 < errors[torch.float16] < 2e-3
    assert 4 * errors[torch.float16] < errors[torch.bfloat16] < 2e-2


@pytest.mark.parametrize("name", ["fp16", "fp64"])
def test_an_operator_keeps_the_precision_of_its_state(name, generator):
    plain, model = (FNO(line(), n_modes=8, width=6, n_layers=2, spectral_precision=p) for p in (None, name))
    model.load_state_dict(plain.state_dict())
    u, params = torch.randn(2, 1, 32, generator=generator), Parameters(torch.rand(2, 1), torch.zeros(2, 0, 32))
    out, expected = model(u, params), plain(u, params)
    assert out.dtype is torch.float32
    distance = ((out - expected).norm() / expected.norm()).item()
    assert 1e-5 < distance < 5e-3 if name == "fp16" else 0 < distance < 1e-6
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in model.parameters())


def test_more_modes_than_points_are_refused_with_the_numbers():
    with pytest.raises(ValueError, match="8 modes of an axis with 6 points"):
        SpectralConv(1, 1, n_modes=(8,))(torch.zeros(1, 1, 6))
    with pytest.raises(ValueError, match="2-dimensional state"):
        SpectralConv(1, 1, n_modes=(8,))(torch.zeros(1, 1, 16, 16))
