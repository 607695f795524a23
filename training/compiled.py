"""Whether, and how, an operator is compiled for its training."""

import torch

from duhamel.operators import Operator


def compiled(operator: Operator, choice: bool | str) -> Operator:
    """The operator, its forward pass compiled in place, as one graph.

    choice: False: not at all. True: in torch.compile's default mode. A name: in its mode of this name;
        "reduce-overhead" replays CUDA graphs, for operators whose many small kernels a GPU ends before the host has
        launched the next.
    Raises ValueError for a mode that there is not.
    """
    if choice is False:
        return operator
    mode = "default" if choice is True else choice
    if mode not in (modes := torch._inductor.list_mode_options()):
        raise ValueError(f"compile={choice} is neither false, nor true, nor a mode of torch.compile: {sorted(modes)}")
    operator.compile(fullgraph=True, mode=mode)
    return operator
