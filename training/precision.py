"""Which precision the device computes in."""

import logging

import torch
from omegaconf import OmegaConf

log = logging.getLogger(__name__)


def bf16_mixed_or_32(accelerator: str) -> str:
    """ "bf16-mixed" where the accelerator ("cpu", "gpu", "cuda" or "auto") multiplies in bfloat16, otherwise "32".

    In a configuration: `trainer.precision: ${bf16_mixed_or_32:${trainer.accelerator}}`. What came of it is in the run's
    config.yaml.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32"
    return "bf16-mixed" if _processor_multiplies_bf16() else "32"


def _processor_multiplies_bf16() -> bool:
    """Whether torch's products of bfloat16 matrices go through oneDNN here, not through its plain loops."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def check_precision(precision: str, device: torch.device) -> None:
    """Raises ValueError where a GPU computes without the precision that was asked for; warns where a processor does."""
    if "bf16" not in precision:
        return
    if device.type == "cuda":
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                name = torch.cuda.get_device_name()
                raise ValueError(f"trainer.precision={precision}: {name} has no bfloat16; use 32 or 16-mixed")
    if device.type == "cpu" and not _processor_multiplies_bf16():
        log.warning(
            f"trainer.precision={precision}: this processor has no fast products in bfloat16; the numbers are "
            "the same, but the training may well take ten times as long as with trainer.precision=32"
        )


OmegaConf.register_new_resolver("bf16_mixed_or_32", bf16_mixed_or_32, replace=True)
