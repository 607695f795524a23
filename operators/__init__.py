"""Learned propagators, and the surrogate that gives them units."""

from duhamel.operators.base import Component, Operator
from duhamel.operators.cape import CAPE
from duhamel.operators.conditioning import (
    Concatenation,
    Conditioning,
    Embedding,
    FiLM,
    FourierFeatures,
    Raw,
    Saturated,
    Unconditioned,
)
from duhamel.operators.deeponet import DeepONet
from duhamel.operators.fno import FNO
from duhamel.operators.graph_kernel import GraphKernelNO
from duhamel.operators.local_no import LocalNO
from duhamel.operators.low_rank import LowRankNO
from duhamel.operators.mgno import MgNO
from duhamel.operators.neuralop_fno import NeuralopFNO
from duhamel.operators.neuralop_weights import from_neuraloperator, to_neuraloperator
from duhamel.operators.normaliser import Normaliser
from duhamel.operators.nsm import NSM
from duhamel.operators.persistence import Persistence
from duhamel.operators.pod import PODRegression
from duhamel.operators.sno import SNO
from duhamel.operators.surrogate import OutsideTrainedRange, Surrogate, load
from duhamel.operators.transformer import Transformer
from duhamel.operators.unet import ClassicUNet, UNet
from duhamel.operators.uno import UNO

__all__ = [
    "CAPE",
    "ClassicUNet",
    "Component",
    "Concatenation",
    "Conditioning",
    "DeepONet",
    "Embedding",
    "FNO",
    "FiLM",
    "FourierFeatures",
    "GraphKernelNO",
    "LocalNO",
    "LowRankNO",
    "MgNO",
    "NSM",
    "NeuralopFNO",
    "Normaliser",
    "Operator",
    "OutsideTrainedRange",
    "PODRegression",
    "Persistence",
    "Raw",
    "SNO",
    "Saturated",
    "Surrogate",
    "Transformer",
    "UNO",
    "UNet",
    "Unconditioned",
    "from_neuraloperator",
    "load",
    "to_neuraloperator",
]
