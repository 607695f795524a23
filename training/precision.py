"""Which precision the device computes in."""

import logging

import torch
from omegaconf import OmegaConf

log = logging.getLogger(__name__)

PRODUCTS = ("highest", "high", "medium")


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


def set_products(choice: str) -> None:
    """How a GPU computes products and convolutions of float32 numbers, for the whole process.

    choice: "highest": in float32. "high": in TF32, with 10 bits of mantissa. "medium": as "high", products in bfloat16.
    torch's own default is "highest" for products and TF32 for convolutions. On a CPU all are as "highest".
    Raises ValueError for another choice.
    """
    if choice not in PRODUCTS:
        raise ValueError(f"matmul_precision={choice} is none of {list(PRODUCTS)}")
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision(choice)
        torch.backends.cudnn.allow_tf32 = choice != "highest"


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
