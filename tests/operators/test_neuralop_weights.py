"""neuraloperator's FNO and TFNO as our FNO: the same outputs and gradients from its weights, and back."""

import pytest
import torch
from neuralop.models import FNO as TheirFNO
from neuralop.models import TFNO as TheirTFNO

from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity
from duhamel.operators import FNO, FiLM, from_neuraloperator, to_neuraloperator


def problem(shape, *, boundary=Boundary.PERIODIC, centring=Centring.NODE, n_coefficients=0) -> Problem:
    return Problem(
        equation="darcy",
        channels=(Quantity("a"), Quantity("b")),
        scalars=(Quantity("mu"),),
        coefficients=tuple(Quantity(f"k{i}") for i in range(n_coefficients)),
        grid=Grid(shape=shape, extent=(2.0,) * len(shape), boundary=(boundary,) * len(shape), centring=centring),
        dt=0.1,
    )


def their_inputs(u, params):
    scalars = params.scalars[(...,) + (None,) * (u.ndim - 2)].expand(-1, -1, *u.shape[2:])
    return torch.cat([u, scalars, params.fields], dim=1)


CASES = {
    "1-D": ((33,), {"n_modes": (12,)}),
    "2-D": ((16, 21), {"n_modes": (8, 12)}),
    "3-D": ((8, 6, 9), {"n_modes": (4, 4, 6), "n_layers": 2}),
    "no embedding": ((16, 16), {"n_modes": (8, 8), "positional_embedding": None}),
    "Tucker": ((16, 16), {"n_modes": (8, 8), "factorization": "tucker", "rank": 0.3}),
    "CP": ((16, 16), {"n_modes": (8, 8), "factorization": "cp", "rank": 0.3}),
    "CP, 3-D": ((8, 6, 9), {"n_modes": (4, 4, 6), "factorization": "cp", "rank": 0.3, "n_layers": 2}),
}


@pytest.mark.parametrize(("shape", "arguments"), CASES.values(), ids=CASES)
def test_outputs_and_gradients_are_theirs_and_the_weights_go_back(shape, arguments):
    torch.manual_seed(0)
    theirs = TheirFNO(in_channels=3, out_channels=2, hidden_channels=8, **arguments)
    ours = from_neuraloperator(theirs.state_dict(), problem(shape))
    assert sum(p.numel() for p in ours.parameters()) == sum(
        p.numel() * (2 if p.is_complex() else 1) for p in theirs.parameters()
    )
    params = Parameters(torch.rand(2, 1), torch.zeros(2, 0, *shape))
    u, v = torch.randn(2, 2, 2, *shape).unbind(0)
    u.requires_grad_()
    mine, reference = ours(u, params), theirs(their_inputs(u, params))
    scale = reference.abs().max()
    torch.testing.assert_close(mine / scale, reference / scale, rtol=0, atol=1e-5)
    gradients = [torch.autograd.grad((f * v).sum(), u)[0] for f in (mine, reference)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-5 * gradients[1].abs().max().item())

    again = TheirFNO(in_channels=3, out_channels=2, hidden_channels=8, **arguments)
    state, sent = again.state_dict(), to_neuraloperator(ours)
    assert set(sent) == set(state) - {"_metadata"}
    again.load_state_dict({**state, **sent})
    torch.testing.assert_close(again(their_inputs(u, params)), reference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("centring", list(Centring))
def test_their_embedding_is_ours_on_bounded_grids(centring):
    torch.manual_seed(0)
    theirs = TheirTFNO(n_modes=(6, 6), in_channels=4, out_channels=2, hidden_channels=6, rank=0.2)
    there = problem((12, 14), boundary=Boundary.DIRICHLET, centring=centring, n_coefficients=1)
    ours = from_neuraloperator(theirs.state_dict(), there)
    params = Parameters(torch.rand(3, 1), torch.rand(3, 1, 12, 14))
    u = torch.randn(3, 2, 12, 14)
    torch.testing.assert_close(ours(u, params), theirs(their_inputs(u, params)), rtol=1e-5, atol=1e-6)


def test_gradients_of_the_weights_are_theirs():
    torch.manual_seed(0)
    theirs = TheirFNO(n_modes=(6, 6), in_channels=3, out_channels=2, hidden_channels=6)
    ours = from_neuraloperator(theirs.state_dict(), problem((12, 12)))
    params, u = Parameters(torch.rand(2, 1), torch.zeros(2, 0, 12, 12)), torch.randn(2, 2, 12, 12)
    ours(u, params).square().mean().backward()
    theirs(their_inputs(u, params)).square().mean().backward()
    for mine, reference in zip(ours.blocks, theirs.fno_blocks.convs, strict=True):
        expected = torch.view_as_real(reference.weight.tensor.grad).permute(2, 3, 0, 4, 1)
        got = mine.spectral.weight.multiplier.grad
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_what_is_not_ours_is_refused_by_name():
    def state(**arguments):
        return TheirFNO(n_modes=(6, 6), in_channels=3, out_channels=2, hidden_channels=6, **arguments).state_dict()

    with pytest.raises(ValueError, match=r"bias: a model of 2 dimensions, the problem has 1"):
        from_neuraloperator(state(), problem((12,)))
    with pytest.raises(ValueError, match="5 input channels, the problem has 4"):
        from_neuraloperator(state(positional_embedding="grid"), problem((12, 12), n_coefficients=1))
    with pytest.raises(ValueError, match="neither dense nor of Tucker or CP form"):
        from_neuraloperator(state(factorization="tt", rank=0.5), problem((12, 12)))
    with pytest.raises(ValueError, match="norm"):
        from_neuraloperator(state(norm="group_norm"), problem((12, 12)))
    with pytest.raises(ValueError, match="fno_skips.0.conv.weight is missing"):
        from_neuraloperator(state(fno_skip="soft-gating"), problem((12, 12)))
    with pytest.raises(ValueError, match="activation acts twice"):
        from_neuraloperator(state(use_channel_mlp=False), problem((12, 12)))
    with pytest.raises(ValueError, match="activation acts twice"):
        to_neuraloperator(FNO(problem((12,)), n_modes=6, width=4, mlp_expansion=0.0))
    with pytest.raises(ValueError, match="blocks.0.modulation.*no such part"):
        to_neuraloperator(FNO(problem((12,)), n_modes=6, width=4, conditioning=FiLM(width=3)))
    with pytest.raises(ValueError, match="padding 0.5"):
        to_neuraloperator(FNO(problem((12,), boundary=Boundary.DIRICHLET), n_modes=6, width=4, padding=0.5))
