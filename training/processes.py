"""Several processes that train and judge as one would: each has a share of every batch, sums run over all."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from lightning.pytorch.strategies import Strategy
from torch import Tensor

from duhamel.metrics import Panel


def shared_loss(
    loss: Float[Tensor, ""], n_samples: int, strategy: Strategy
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """What a process is to differentiate, and the mean loss over the whole batch (detached, the same in all).

    loss: mean over the n_samples windows of this process's share, which may be fewer than another's, or none. Gradients
    are averaged over processes, so each loss counts by its share of the windows.
    """
    if not several():
        return loss, loss.detach()
    total = strategy.reduce(torch.stack([loss.detach() * n_samples, loss.new_full((), n_samples)]), reduce_op="sum")
    assert isinstance(total, Tensor)
    return loss * (n_samples * dist.get_world_size() / total[1]), total[0] / total[1]


def gathered_panel(panel: Panel) -> Panel:
    """Figures of all samples, each once and in the order of the data, in every process."""
    if not several():
        return panel
    parts: list[Panel | None] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, panel.on_cpu())
    return Panel.merged([part for part in parts if part is not None])


def several() -> bool:
    """Whether this is one of several processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
