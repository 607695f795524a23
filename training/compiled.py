"""Whether, and how, an operator is compiled for its training."""

import torch

from duhamel.operators import Operator


def compiled(operator: Operator, choice: bool | str, activation_memory: float = 1.0) -> Operator:
    """The operator, its forward pass compiled in place, as one graph.

    choice: False: not at all. True: in torch.compile's default mode. A name: in its mode of this name;
        "reduce-overhead" replays CUDA graphs, for operators whose many small kernels a GPU ends before the host has
        launched the next.
    activation_memory: share, in [0, 1], of the memory that the compiled pass would like to keep for gradients; what it
        then lacks is computed again (torch's activation_memory_budget, for the whole process).
    Raises ValueError for a mode that there is not, or a share outside [0, 1].
    """
    if choice is False:
        return operator
    mode = "default" if choice is True else choice
    if mode not in (modes := torch._inductor.list_mode_options()):
        raise ValueError(f"compile={choice} is neither false, nor true, nor a mode of torch.compile: {sorted(modes)}")
    if not 0 <= activation_memory <= 1:
        raise ValueError(f"activation_memory={activation_memory} is not in [0, 1]")
    torch._functorch.config.activation_memory_budget = activation_memory
    operator.compile(fullgraph=True, mode=mode)
    return operator
