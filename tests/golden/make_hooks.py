"""The order in which PyTorch Lightning calls a callback's hooks, and on what occasions: what HooksOrder tests compare
with. Needs the package pytorch-lightning. Usage: make_hooks.py FILE"""
import sys

import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

HOOKS = [
    "on_fit_start", "on_sanity_check_start", "on_sanity_check_end", "on_train_start", "on_train_epoch_start",
    "on_train_batch_start", "on_before_backward", "on_after_backward", "on_before_optimizer_step", "on_train_batch_end",
    "on_validation_start", "on_validation_end", "on_train_epoch_end", "on_train_end", "on_fit_end", "on_save_checkpoint",
    "on_load_checkpoint", "on_exception",
]
MODEL_HOOKS = ["on_validation_model_eval", "on_validation_model_train"]
calls = []


def recorded(name, real=None):
    def hook(self, *arguments, **named):
        calls.append(name)
        return real(self, *arguments, **named) if real else None
    return hook


Recorder = type("Recorder", (lightning.Callback,), {name: recorded(name) for name in HOOKS})


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, _):
        return self.layer(batch[0]).sum()

    def validation_step(self, batch, _):
        self.log("val_loss", self.layer(batch[0]).sum())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


for name in MODEL_HOOKS:
    setattr(Model, name, recorded(name, getattr(lightning.LightningModule, name)))


def loader(samples):
    return DataLoader(TensorDataset(torch.rand(samples, 2)), batch_size=16)


# As HooksOrder runs ours: four batches an epoch, two for a step, validated after two batches and at the end.
lightning.Trainer(max_epochs=2, accumulate_grad_batches=2, val_check_interval=2, num_sanity_val_steps=1,
                  callbacks=[Recorder()], logger=False, enable_checkpointing=False, enable_progress_bar=False,
                  enable_model_summary=False, accelerator="cpu", devices=1).fit(Model(), loader(64), loader(8))
with open(sys.argv[1], "w") as file:
    file.write("\n".join(calls) + "\n")
