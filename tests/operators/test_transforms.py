"""Function transforms, precisions and low rank: what users of torch.func, mixed precision and TFNO rely on."""

import copy
import itertools

import pytest
import torch
from torch.func import functional_call, jacrev, jvp, stack_module_state, vmap

from duhamel.fields import Parameters
from duhamel.operators import FNO, fft, fourier, spectral_conv
from duhamel.operators.spectral_conv import SpectralConv
from tests.operators.problems import line, plane

SHAPES = [
    ((5,), (16,)),
    ((16,), (16,)),
    ((9,), (9,)),
    ((4, 6), (12, 9)),
    ((5, 4), (9, 8)),
    ((8, 8), (8, 8)),
    ((4, 3, 6), (8, 7, 10)),
]


@pytest.mark.parametrize(("n_modes", "shape"), SHAPES)
@pytest.mark.parametrize("finer", [0, 3])
def test_products_and_fast_transforms_are_one_map(n_modes, shape, finer):
    u = torch.randn(2, 3, *shape, dtype=torch.float64)
    points = tuple(n + finer for n in shape)
    spectra = [transform.analyse(u, n_modes) for transform in (fourier, fft)]
    torch.testing.assert_close(*spectra, rtol=0, atol=1e-14)
    states = [transform.synthesise(spectra[0], n_modes, points) for transform in (fourier, fft)]
    torch.testing.assert_close(*states, rtol=0, atol=1e-13)


def test_fast_transforms_serve_where_most_frequencies_are_kept_and_never_below_single_precision():
    layer = SpectralConv(1, 1, n_modes=(64, 64))
    u = torch.zeros(1, 1, 64, 64)
    assert layer._prefers_fft(u, (64, 64))
    assert not layer._prefers_fft(u.bfloat16(), (64, 64))
    assert not SpectralConv(1, 1, n_modes=(16, 16))._prefers_fft(u, (64, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not layer._prefers_fft(u, (64, 64))
        assert SpectralConv(1, 1, n_modes=(64, 64), precision=torch.float32)._prefers_fft(u, (64, 64))


@pytest.mark.parametrize("shape", [(85, 61), (64, 64)])
def test_no_fast_transform_sees_less_than_single_precision(shape, monkeypatch):
    """CPU autocast raises an FFT's input to float32, CUDA's does not: what fails there fails here."""
    called = []

    def strict(name):
        real = getattr(torch.fft, name)

        def transform(u, *args, **kwargs):
            single = (torch.float32, torch.float64, torch.complex64, torch.complex128)
            assert u.dtype in single, f"{name} of {u.dtype}"
            called.append(name)
            return real(u, *args, **kwargs)

        return transform

    for name in ("fft", "ifft", "rfft", "irfft", "fftn", "ifftn", "rfftn", "irfftn"):
        monkeypatch.setattr(torch.fft, name, strict(name))
    params = Parameters(torch.zeros(2, 0), torch.ones(2, 1, *shape))
    for spectral_precision, low_rank in itertools.product(
        (None, "fp32", "bf16"), ({}, {"weight": "tucker", "rank": 0.2}, {"weight": "cp", "rank": 0.02})
    ):
        model = FNO(plane(61), n_modes=61, width=4, n_layers=2, spectral_precision=spectral_precision, **low_rank)
        called.clear()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(torch.randn(2, 1, *shape), params)
        assert out.dtype is torch.bfloat16
        assert called == (["rfftn", "irfftn"] * 2 if spectral_precision == "fp32" else [])
        out.float().square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_an_odd_grid_trains_in_bfloat16_as_in_single_precision(generator):
    """Towards what a layer of 9 x 9 frequencies makes of band-limited states, on 45 x 31 points."""
    shape = (45, 31)
    layer = SpectralConv(1, 1, n_modes=(9, 9))
    with torch.no_grad():
        u = layer(torch.randn(4, 1, *shape, generator=generator))
        u = u / u.std()
        target = layer(u)
    params = Parameters(torch.zeros(4, 0), torch.ones(4, 1, *shape))
    losses = {}
    for lowered in (False, True):
        torch.manual_seed(0)
        model = FNO(plane(45), n_modes=9, width=6, n_layers=1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        losses[lowered] = []
        for _ in range(20):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=lowered):
                out = model(u, params)
            loss = (out.float() - target).square().mean() / target.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[lowered].append(loss.item())
    assert losses[True][0] == pytest.approx(losses[False][0], rel=1e-2)
    assert losses[True][-1] == pytest.approx(losses[False][-1], rel=5e-2)
    assert losses[True][-1] < 0.7 * losses[True][0], losses


@pytest.mark.parametrize("n_modes", [8, 30])
def test_another_resolution_of_the_output(n_modes):
    layer = SpectralConv(2, 3, n_modes=(n_modes,), bias=True).double()
    u = torch.randn(2, 2, 32, dtype=torch.float64)
    fine = layer(u, (96,))
    interpolated = fine[..., ::3]
    torch.testing.assert_close(interpolated, layer(u), rtol=0, atol=1e-13)
    with pytest.raises(ValueError, match=f"{n_modes} modes of an axis with 7 points"):
        layer(u, (7,))


@pytest.mark.parametrize("weight", ["dense", "tucker", "cp"])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_multipliers_have_the_stated_size_and_spread(weight, dim):
    torch.manual_seed(0)
    layer = SpectralConv(24, 20, n_modes=(10,) * dim, weight=weight, rank=1.0 if weight == "dense" else 0.2)
    multiplier = layer.weight()
    assert multiplier.shape == (*(10,) * (dim - 1), 6, 24, 2, 20)
    ratio = multiplier.std() * (24 + 20) ** 0.5
    assert 0.6 < ratio < 1.6
    n_free = sum(p.numel() for p in layer.weight.parameters())
    assert n_free == pytest.approx(multiplier.numel() * (1.0 if weight == "dense" else 0.2), rel=0.25)


@pytest.mark.parametrize("weight", ["dense", "tucker", "cp"])
def test_bfloat16_lowers_the_products_with_multipliers_not_the_multipliers(weight):
    layer = SpectralConv(6, 6, n_modes=(8, 8), weight=weight, rank=1.0 if weight == "dense" else 0.3)
    u = torch.randn(2, 6, 16, 16)

    def outcome():
        out = layer(u)
        loss = out.float().square().mean()
        return out, loss, torch.autograd.grad(loss, list(layer.parameters()))

    multiplier = layer.weight()
    exact, exact_loss, exact_gradients = outcome()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(layer.weight(), multiplier, rtol=0, atol=0)
        lowered, loss, gradients = outcome()
    assert lowered.dtype is torch.bfloat16
    assert 1e-5 < (lowered.float() - exact).norm() / exact.norm() < 2e-2
    torch.testing.assert_close(loss, exact_loss, rtol=2e-2, atol=0)
    for gradient, expected in zip(gradients, exact_gradients, strict=True):
        assert (gradient - expected).norm() < 4e-2 * expected.norm()


def test_wrong_multipliers_are_named():
    with pytest.raises(ValueError, match="'tt' is none of"):
        SpectralConv(2, 2, n_modes=(4,), weight="tt")
    with pytest.raises(ValueError, match=r"rank 0.5 is for low-rank"):
        SpectralConv(2, 2, n_modes=(4,), rank=0.5)


def model_and_inputs(**arguments):
    torch.manual_seed(0)
    model = FNO(line(16), n_modes=6, width=4, n_layers=2, **arguments).double()
    return (
        model,
        torch.randn(3, 1, 16, dtype=torch.float64),
        Parameters(torch.rand(3, 1).double(), torch.zeros(3, 0, 16).double()),
    )


@pytest.mark.parametrize("weight", ["dense", "tucker", "cp"])
def test_forward_and_reverse_derivatives_agree(weight):
    model, u, params = model_and_inputs(weight=weight, rank=1.0 if weight == "dense" else 0.5)
    direction = torch.randn_like(u)
    _, forward = jvp(lambda v: model(v, params), (u,), (direction,))
    jacobian = jacrev(lambda v: model(v, params))(u)
    torch.testing.assert_close(torch.tensordot(jacobian, direction, 3), forward, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(lambda v: model(v, params), (u[:1, :, :8].repeat(3, 1, 2).requires_grad_(),))


@pytest.mark.parametrize(("n_modes", "shape"), [((5,), (8,)), ((4, 5), (6, 7))])
def test_fast_transforms_under_function_transforms(n_modes, shape, monkeypatch):
    """gradcheck, jvp, jacrev and vmap of the path that is taken where most frequencies are kept."""
    layer = SpectralConv(2, 1, n_modes=n_modes, bias=True).double()
    u, direction = torch.randn(2, 2, 2, *shape, dtype=torch.float64)
    by_products = layer(u)
    monkeypatch.setattr(spectral_conv, "PRODUCTS_PER_FFT_STEP", 0)
    assert layer._prefers_fft(u, shape)
    torch.testing.assert_close(layer(u), by_products, rtol=0, atol=1e-13)
    assert torch.autograd.gradcheck(layer, (u.clone().requires_grad_(),))
    for name, parameter in layer.named_parameters():
        assert torch.autograd.gradcheck(lambda w, name=name: functional_call(layer, {name: w}, (u,)), (parameter,))
    _, forward = jvp(layer, (u,), (direction,))
    torch.testing.assert_close(forward, layer(direction) - layer(torch.zeros_like(u)), rtol=0, atol=1e-13)
    jacobian = jacrev(layer)(u)
    torch.testing.assert_close(torch.tensordot(jacobian, direction, u.ndim), forward, rtol=0, atol=1e-13)
    torch.testing.assert_close(vmap(lambda v: layer(v[None])[0])(u), by_products, rtol=0, atol=1e-13)


def test_vmap_over_states_and_over_an_ensemble_of_weights():
    model, u, params = model_and_inputs()

    def one(state, scalars):
        return model(state[None], Parameters(scalars[None], torch.zeros(1, 0, 16, dtype=torch.float64)))[0]

    torch.testing.assert_close(vmap(one)(u, params.scalars), model(u, params), rtol=0, atol=1e-13)
    members = [copy.deepcopy(model) for _ in range(2)]
    for member in members:
        torch.nn.init.normal_(member.lifting.inner.weight)
    weights, buffers = stack_module_state(members)
    together = vmap(lambda w, b: functional_call(model, (w, b), (u, params)))(weights, buffers)
    torch.testing.assert_close(together, torch.stack([m(u, params) for m in members]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("weight", ["dense", "tucker"])
def test_fused_adamw_takes_the_steps_of_the_plain_one(weight):
    results = []
    for fused in (False, True):
        model, u, params = model_and_inputs(weight=weight, rank=1.0 if weight == "dense" else 0.5)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=fused)
        for _ in range(3):
            optimizer.zero_grad()
            model(u, params).square().mean().backward()
            optimizer.step()
        results.append(model(u, params))
    torch.testing.assert_close(*results, rtol=0, atol=1e-12)


@pytest.mark.parametrize("points", [(16,), (15,), (8, 10), (9, 7), (4, 6, 8)])
def test_transforms_axis_by_axis_ignore_what_no_real_function_has(points, generator):
    """Of a spectrum without any symmetry: what irfftn gives on a CPU, which is what the products give everywhere."""
    kept = (*points[:-1], points[-1] // 2 + 1)
    u_hat = torch.randn(2, 3, *kept, dtype=torch.complex128, generator=generator)
    axes = tuple(range(2, 2 + len(points)))
    expected = torch.fft.irfftn(u_hat, s=points, dim=axes, norm="forward")
    torch.testing.assert_close(fft.real_part_by_axes(u_hat, points), expected, rtol=0, atol=1e-12)
