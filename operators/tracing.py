"""Whether a graph is traced to be exported."""

import torch


def exporting() -> bool:
    """Whether the graph being traced is one of torch.export, which will meet other grids on other devices.

    In torch 2.11 `torch.compiler.is_exporting` is true in graphs of torch.compile as well.
    """
    return bool(torch.compiler._is_exporting_flag)


def require_known_grid(what: str) -> None:
    """NotImplementedError where a graph for free grids is traced through `what`, whose form depends on the grid.

    A trace would hold the form that belongs to one grid, and formats without guards would use it on all.
    """
    if exporting():
        raise NotImplementedError(f"{what} has another form on each grid")
