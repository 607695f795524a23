"""Whether a graph is traced to be exported."""

import torch


def exporting() -> bool:
    """Whether the graph being traced is one of torch.export, which will meet other grids on other devices.

    In torch 2.11 `torch.compiler.is_exporting` is true in graphs of torch.compile as well.
    """
    return bool(torch.compiler._is_exporting_flag)
