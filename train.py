"""python train.py +experiment=NAME [overrides]: data in HDF5 become a surrogate in the run directory."""

import json
import logging
from pathlib import Path

import hydra
import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from duhamel.command_line import reported
from duhamel.operators import Normaliser, Surrogate
from duhamel.operators.card import trained_range
from duhamel.training.compiled import compiled
from duhamel.training.figures import write_figures
from duhamel.training.precision import check_precision, set_products
from duhamel.training.run import best_checkpoint, clocked, open_run, resumed_from


@reported
@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Compose, fit, test the best model by validation, save it. Returns its rollout error."""
    run = Path(HydraConfig.get().runtime.output_dir)
    checkpoint = resumed_from(cfg.ckpt_path, run)
    with open_run(run, cfg, checkpoint):
        return train(cfg, run, checkpoint)


def train(cfg: DictConfig, run: Path, checkpoint: Path | None) -> float:
    """The same in a folder that is this run's."""
    lightning.seed_everything(cfg.seed, workers=True)
    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    set_products(cfg.matmul_precision)
    (data := instantiate(cfg.dataset)).setup()
    operator = compiled(instantiate(cfg.operator)(data.problem), cfg.compile, cfg.activation_memory)
    surrogate = Surrogate(
        operator,
        Normaliser.fitted(data.problem, data.statistics, log=cfg.log_scaled),
        trained_range=trained_range(data.problem, data.statistics),
        data={"hash": data.data_hash, "provenance": data.provenance},
    )
    origin = {"data": {"hash": data.data_hash, "split": data.split}, "test_names": data.test_names}
    module = instantiate(cfg.training)(surrogate, seed=cfg.seed, **origin)
    callbacks = list(instantiate(cfg.callbacks).values())
    trainer = instantiate(cfg.trainer)(callbacks=callbacks, logger=list(instantiate(cfg.logger).values()))
    check_precision(str(trainer.precision), trainer.strategy.root_device)
    with clocked(surrogate, data.amount, trainer, resumed=checkpoint is not None):
        operator.fit(data.train_dataloader(), surrogate.normaliser)
        if list(operator.parameters()):
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    trainer.test(module, datamodule=data, ckpt_path=best_checkpoint(trainer), weights_only=True)
    metrics = module.test_metrics()
    error, baseline = metrics["test/rollout_relative_l2"], metrics["test/persistence_relative_l2"]
    if trainer.is_global_zero:
        surrogate.add_metrics(metrics)
        surrogate.save(run / "surrogate.safetensors")
        (run / "metrics.json").write_text(json.dumps(surrogate.card["metrics"], indent=2) + "\n")
        (run / "split.json").write_text(json.dumps(data.split, indent=2) + "\n")
        if cfg.figures:
            write_figures(run, module.panels[data.test_names[0]], data.problem)
        logging.getLogger("train").info(f"rollout error {error:.4g}, persistence {baseline:.4g}; {run}")
    return error


if __name__ == "__main__":
    main()
