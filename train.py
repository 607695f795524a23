"""python train.py +experiment=NAME [overrides]: data in HDF5 become a surrogate in the run directory."""

import json
import warnings
from pathlib import Path

import hydra
import lightning
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from duhamel.operators import Normaliser, Surrogate
from duhamel.operators.card import trained_range
from duhamel.training.figures import write_figures
from duhamel.training.resume import best_checkpoint, keep_earlier_metrics, run_folder

OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Compose, fit, test the best model by validation, save it. Returns its rollout error."""
    # The run directory holds the job's log before the CSV logger finds it; the other is Lightning's own.
    warnings.filterwarnings("ignore", message="Experiment logs directory|`isinstance.treespec, LeafSpec")
    run = Path(HydraConfig.get().runtime.output_dir)
    OmegaConf.save(cfg, run / "config.yaml", resolve=True)
    keep_earlier_metrics(run)
    lightning.seed_everything(cfg.seed, workers=True)

    data = instantiate(cfg.dataset)
    data.prepare_data()
    data.setup("fit")
    operator = instantiate(cfg.operator)(data.problem)
    surrogate = Surrogate(
        operator,
        Normaliser.fitted(data.problem, data.statistics, log=cfg.log_scaled),
        trained_range=trained_range(data.problem, data.statistics),
        data={"hash": data.data_hash, "provenance": data.provenance},
    )
    identity = {"hash": data.data_hash, "split": data.split}
    module = instantiate(cfg.training)(surrogate, test_names=data.test_names, data=identity, seed=cfg.seed)
    callbacks = list(instantiate(cfg.callbacks).values())
    trainer = instantiate(cfg.trainer)(callbacks=callbacks, logger=list(instantiate(cfg.logger).values()))

    if any(True for _ in operator.parameters()):
        trainer.fit(module, datamodule=data, ckpt_path=cfg.ckpt_path, weights_only=True)
    trainer.test(module, datamodule=data, ckpt_path=best_checkpoint(trainer), weights_only=True)

    metrics = module.test_metrics()
    surrogate.add_metrics(metrics)
    surrogate.save(run / "surrogate.safetensors")
    (run / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    (run / "split.json").write_text(json.dumps(data.split, indent=2) + "\n")
    write_figures(run, module.panels[data.test_names[0]], data.problem)
    return metrics["test/rollout_relative_l2"]


if __name__ == "__main__":
    main()
