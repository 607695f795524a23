"""What is predicted from what, told apart by a propagator that only counts."""

import pytest
import torch

from duhamel.fields import Parameters
from duhamel.training.unroll import Prefix, Pushforward, Segments


def window(n_steps: int, batch: int = 2) -> tuple[torch.Tensor, Parameters]:
    """States 0, 1, ..., n_steps of value 100 sample + time; parameters that name the sample."""
    time = torch.arange(n_steps + 1.0)
    z = (100 * torch.arange(float(batch))[:, None] + time)[:, :, None, None].expand(-1, -1, 1, 4)
    return z, Parameters(torch.arange(float(batch))[:, None], torch.zeros(batch, 0, 4))


def exact(z, params):
    """The true step of the window; fails where a state meets the parameters of another sample."""
    assert torch.equal(torch.floor(z[:, 0, 0] / 100), params.scalars[:, 0])
    return z + 1


@pytest.mark.parametrize("unroll", [Segments(), Prefix(), Pushforward()], ids=lambda u: type(u).__name__)
@pytest.mark.parametrize(("n_steps", "horizon"), [(1, 1), (12, 1), (12, 4), (12, 5), (12, 12)])
def test_the_exact_propagator_has_no_error(unroll, n_steps, horizon):
    z, params = window(n_steps)
    prediction, target = unroll(exact, z, params, horizon)
    assert torch.equal(prediction, target)


def drifting(z, params):
    """One tenth off a step: the error of a prediction counts the steps since the truth."""
    return z + 1.1


def steps_since_truth(unroll, n_steps, horizon):
    z, params = window(n_steps, batch=1)
    prediction, target = unroll(drifting, z, params, horizon)
    drift = ((prediction - target)[..., 0, 0] / 0.1).round().int()
    return sorted(zip(target[..., 0, 0].int().flatten().tolist(), drift.flatten().tolist(), strict=True))


def test_segments_reach_every_state_once_where_the_horizon_divides_the_window():
    assert steps_since_truth(Segments(), 6, 2) == [(1, 1), (2, 2), (3, 1), (4, 2), (5, 1), (6, 2)]


def test_the_last_segment_reaches_back_otherwise():
    assert steps_since_truth(Segments(), 5, 3) == [(1, 1), (2, 2), (3, 1), (3, 3), (4, 2), (5, 3)]


def test_a_prefix_is_rolled_out_and_the_rest_is_forced():
    assert steps_since_truth(Prefix(), 5, 3) == [(1, 1), (2, 2), (3, 3), (4, 1), (5, 1)]


def test_pushforward_compares_last_steps_and_stops_the_gradient_before_them():
    assert steps_since_truth(Pushforward(), 6, 3) == [(3, 3), (6, 3)]
    gain = torch.ones((), requires_grad=True)
    z, params = window(6, batch=1)
    prediction, _ = Pushforward()(lambda u, p: gain * u, z, params, 3)
    (gradient,) = torch.autograd.grad(prediction.sum(), gain)
    # d(gain u)/d(gain) at gain 1 for the pushed states 0 and 3, of four points each; a full rollout gives 3 times it.
    assert gradient.item() == 4 * (0 + 3)
