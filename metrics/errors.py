"""Errors of predicted trajectories, one number for each sample (or each sample, time and channel).

Every function takes `prediction` and `target` in physical units, without the initial state. Averaging is left to the
caller, who alone knows how many samples there are: a mean of batch means is wrong where batches are of unequal size.

Means over space weigh all grid points equally. Half-precision input is computed in float32. Nothing is clamped: a
target whose norm is zero gives inf (or NaN where the error is zero too) unless a function names its `eps`, and a
prediction that holds NaN or inf gives NaN or inf for the samples, times and channels it touches.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid
from duhamel.metrics.gradients import sobolev_energy
from duhamel.metrics.states import Fields, PerChannel, PerState, PerTrajectory, at_least_float32, pair, space_mean


def relative_l2(prediction: Fields, target: Fields) -> PerTrajectory:
    """sqrt(sum (p - y)^2) / sqrt(sum y^2), both sums over time, channels and space of one trajectory.

    Channels of different units enter with the weight of their size: see `relative_l2_by_channel`.

    >>> import torch
    >>> from duhamel.metrics import relative_l2
    >>> target = torch.ones(2, 3, 1, 8)
    >>> relative_l2(1.5 * target, target).tolist()
    [0.5, 0.5]
    """
    p, y = pair(prediction, target)
    return torch.linalg.vector_norm((p - y).flatten(1), dim=1) / torch.linalg.vector_norm(y.flatten(1), dim=1)


def relative_l2_by_time(prediction: Fields, target: Fields) -> PerState:
    """sqrt(sum (p - y)^2) / sqrt(sum y^2), both sums over channels and space of one state."""
    p, y = pair(prediction, target)
    return torch.linalg.vector_norm((p - y).flatten(2), dim=2) / torch.linalg.vector_norm(y.flatten(2), dim=2)


def relative_l2_by_channel(prediction: Fields, target: Fields) -> Float[Tensor, "batch channel"]:
    """sqrt(sum (p - y)^2) / sqrt(sum y^2), both sums over time and space of one channel."""
    p, y = pair(prediction.transpose(1, 2), target.transpose(1, 2))
    return torch.linalg.vector_norm((p - y).flatten(2), dim=2) / torch.linalg.vector_norm(y.flatten(2), dim=2)


def mae(prediction: Fields, target: Fields) -> PerChannel:
    """mean |p - y|."""
    p, y = pair(prediction, target)
    return space_mean((p - y).abs())


def nmae(prediction: Fields, target: Fields) -> PerChannel:
    """mean |p - y| / mean |y|."""
    return mae(prediction, target) / space_mean(at_least_float32(target).abs())


def smae(prediction: Fields, target: Fields) -> PerChannel:
    """mean |p - y| over the mean of mean |p| and mean |y|: symmetric, between 0 and 2 (apebench's sMAE)."""
    p, y = pair(prediction, target)
    return 2 * space_mean((p - y).abs()) / (space_mean(p.abs()) + space_mean(y.abs()))


def mse(prediction: Fields, target: Fields) -> PerChannel:
    """mean (p - y)^2."""
    p, y = pair(prediction, target)
    return space_mean((p - y).square())


def nmse(prediction: Fields, target: Fields, *, eps: float = 0.0) -> PerChannel:
    """mean (p - y)^2 / (mean y^2 + eps). The Well sets eps = 1e-7, apebench 0."""
    return mse(prediction, target) / (space_mean(at_least_float32(target).square()) + eps)


def rmse(prediction: Fields, target: Fields) -> PerChannel:
    """sqrt(mean (p - y)^2)."""
    return mse(prediction, target).sqrt()


def nrmse(prediction: Fields, target: Fields) -> PerChannel:
    """sqrt(mean (p - y)^2) / sqrt(mean y^2), at each time and channel: nRMSE of PDEBench and apebench.

    Its mean over times and channels is PDEBench's figure, its sum over channels apebench's. It is not `relative_l2`: a
    state that has decayed weighs as much here as the first.
    """
    return nmse(prediction, target).sqrt()


def srmse(prediction: Fields, target: Fields) -> PerChannel:
    """rmse over the mean of the root mean squares of p and y: symmetric, between 0 and 2 (apebench's sRMSE)."""
    p, y = pair(prediction, target)
    return 2 * rmse(p, y) / (space_mean(p.square()).sqrt() + space_mean(y.square()).sqrt())


def vrmse(prediction: Fields, target: Fields, *, eps: float = 1e-7) -> PerChannel:
    """sqrt(mean (p - y)^2 / (Var y + eps)), Var the unbiased (N - 1) variance over space: The Well's VRMSE.

    Predicting the spatial mean gives sqrt((N - 1) / N) where Var y >> eps.
    """
    p, y = pair(prediction, target)
    return (mse(p, y) / (y.flatten(3).var(3, correction=1) + eps)).sqrt()


def max_error(prediction: Fields, target: Fields) -> PerChannel:
    """max |p - y| over space. PDEBench's and The Well's maximum; the former then takes the largest of a batch."""
    p, y = pair(prediction, target)
    return (p - y).abs().flatten(3).amax(3)


def crmse(prediction: Fields, target: Fields) -> PerChannel:
    """|mean p - mean y|: error of the spatial mean. PDEBench's cRMSE is its root mean square over samples."""
    p, y = pair(prediction, target)
    return space_mean(p - y).abs()


def brmse(prediction: Fields, target: Fields) -> PerChannel:
    """Root mean square error over the first and last grid points of every axis (PDEBench's bRMSE).

    Points that lie on several faces count once for each. In 3-D PDEBench's own figure adds up the squares over channels
    before the root: it is sqrt(sum over channels of brmse^2).
    """
    p, y = pair(prediction, target)
    squares = (p - y).square()
    # Narrowed, not selected: the face of a 1-D axis is a single point and has to keep its axis.
    faces = [
        squares.narrow(axis, end, 1).flatten(3)
        for axis in range(3, squares.ndim)
        for end in (0, squares.shape[axis] - 1)
    ]
    return torch.cat(faces, dim=3).mean(3).sqrt()


def correlation(prediction: Fields, target: Fields) -> PerChannel:
    """<p, y> / (|p| |y|), the cosine of the angle between two states: means are not removed (as in apebench)."""
    p, y = pair(prediction, target)
    return space_mean(p * y) / (space_mean(p.square()) * space_mean(y.square())).sqrt()


def pearson(prediction: Fields, target: Fields, *, eps: float = 1e-7) -> PerChannel:
    """cov(p, y) / (std p std y + eps) with the biased covariance and the unbiased deviations of The Well's PearsonR.

    A perfect prediction on N points therefore gives (N - 1) / N.
    """
    p, y = pair(prediction, target)
    flat_p, flat_y = p.flatten(3), y.flatten(3)
    covariance = ((flat_p - flat_p.mean(3, keepdim=True)) * (flat_y - flat_y.mean(3, keepdim=True))).mean(3)
    return covariance / (flat_p.std(3, correction=1) * flat_y.std(3, correction=1) + eps)


def h1(prediction: Fields, target: Fields, grid: Grid) -> PerTrajectory:
    """Relative Sobolev error of order 1: `sobolev`."""
    return sobolev(prediction, target, grid, order=1)


def sobolev(prediction: Fields, target: Fields, grid: Grid, *, order: int) -> PerTrajectory:
    """Relative Sobolev error sqrt(sum_j C(s, j) |D^j e|^2) / sqrt(sum_j C(s, j) |D^j y|^2), e = p - y, j <= s = order.

    Sums over time, channels and space of one trajectory; of order 1 sqrt(sum |e|^2 + |grad e|^2) over the same of y,
    of order 0 `relative_l2`. The norm is that of the literature, without a length scale: it depends on the length unit
    of the grid, and on a small domain it is almost the error of the highest derivatives alone.
    """
    p, y = pair(prediction, target)
    ratio = sobolev_energy(p - y, grid, order=order).sum((1, 2)) / sobolev_energy(y, grid, order=order).sum((1, 2))
    return ratio.sqrt()
