# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The Trainer of `transformers` in a contest of fine-tuning, with PEFT's LoRA.

  PEERS_PYTHON -m experiments.benchmarks.peers.fine_tuning FOLDER NAME

NAME is `trainer_padded`, or `trainer_grouped` for batches of examples of about
one length.
"""

import pathlib
from typing import Any

import numpy as np
import peft
import torch
import transformers

from experiments.benchmarks import contestant


class _Examples(torch.utils.data.Dataset):
  """Tokens and labels of examples."""

  def __init__(self, asked: contestant.Arrays):
    self._examples = []
    for ids, length, answer in zip(
      asked['tokens'], asked['length'], asked['answer'], strict=True
    ):
      tokens = torch.tensor(ids[:length])
      labels = tokens.clone()
      labels[: length - answer] = -100
      self._examples.append({'input_ids': tokens, 'labels': labels})

  def __len__(self) -> int:
    return len(self._examples)

  def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
    return self._examples[index]


def _collate(examples: list[dict[str, torch.Tensor]]) -> dict[str, Any]:
  pad = torch.nn.utils.rnn.pad_sequence
  ids = [example['input_ids'] for example in examples]
  labels = [example['labels'] for example in examples]
  return {
    'input_ids': pad(ids, batch_first=True),
    'attention_mask': pad([torch.ones_like(one) for one in ids], True),
    'labels': pad(labels, batch_first=True, padding_value=-100),
  }


def without_adapter(model: Any) -> None:
  """Takes out what PEFT put into a model."""
  layers = [
    (name, module.get_base_layer())
    for name, module in model.named_modules()
    if isinstance(module, peft.tuners.lora.LoraLayer)
  ]
  for name, base in layers:
    model.set_submodule(name, base)
  if layers:
    del model.peft_config


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the training of the model in a folder."""
  model = transformers.AutoModelForCausalLM.from_pretrained(
    folder / 'model', dtype=torch.float32
  )
  return compete(model, contestant.read(folder), folder, name)


def compete(
  model: Any, asked: contestant.Arrays, folder: pathlib.Path, name: str
) -> contestant.Contestant:
  """Returns an epoch of training."""
  examples, device = _Examples(asked), model.device
  compared: dict[str, float] = {}
  few = _collate([examples[i] for i in range(int(asked['compared']))])
  rank = int(asked['rank'])
  with torch.set_grad_enabled(not rank):
    loss = model(**{key: value.to(device) for key, value in few.items()}).loss
  compared['loss'] = loss.item()
  if rank:
    model = peft.get_peft_model(
      model,
      peft.LoraConfig(
        r=rank, lora_alpha=rank, target_modules='all-linear', bias='none'
      ),
    )
  else:
    loss.backward()
    compared['gradient_norm'] = torch.nn.utils.get_total_norm(
      [p.grad for p in model.parameters()]
    ).item()
    model.zero_grad()
  grouped = name == 'trainer_grouped'
  trainer = transformers.Trainer(
    model,
    transformers.TrainingArguments(
      output_dir=str(folder / name),
      per_device_train_batch_size=int(asked['batch']),
      num_train_epochs=1,
      learning_rate=1e-5,
      lr_scheduler_type='constant',
      max_grad_norm=1.0,
      train_sampling_strategy='group_by_length' if grouped else 'random',
      use_cpu=device.type == 'cpu',
      bf16=model.dtype == torch.bfloat16,
      report_to='none',
      save_strategy='no',
      logging_strategy='no',
      disable_tqdm=True,
      remove_unused_columns=False,
    ),
    data_collator=_collate,
    train_dataset=examples,
  )
  answers = int(asked['answer'].sum())

  def run() -> None:
    trainer.train()
    if device.type == 'cuda':
      torch.cuda.synchronize()

  def results(_: None) -> contestant.Arrays:
    found = {'count': answers, **compared}
    return {key: np.array(value) for key, value in found.items()}

  return contestant.Contestant(run, results)


if __name__ == '__main__':
  contestant.serve(prepare, 'torch transformers peft accelerate')
