# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that two processes load and save a model together."""

import pathlib

from absl.testing import absltest
import jax

from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft
from tests.distributed import loading_worker as worker
from tests.distributed import workers
from tests.models import tiny


class LoadingTest(absltest.TestCase):
  def test_each_process_reads_what_its_devices_hold(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    # All but the norms, 2 * 2 * 32 + 32 numbers, is divisible by 4.
    model = tiny.model(layers=2, width=32)
    huggingface.save(model, folder / 'model', eos_id=2)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(model))
    digest = huggingface.weight_hash(model)
    port = workers.port()
    places = [str(folder / 'model'), str(folder / 'out')]
    ended = workers.run(
      'loading_worker', *([str(i), port, *places] for i in range(2))
    )
    norms = 5 * 32
    for found, _ in ended:
      for mesh, share in (('1x4x1', 2), ('2x2x1', 1), ('1x2x2', 2)):
        with self.subTest(mesh):
          one = found[mesh]
          self.assertEqual(one['read'], one['held'])
          self.assertEqual(one['held'], norms + (numbers - norms) // share)
          self.assertEqual(one['hash'], digest)
          self.assertEqual(one['saved'], digest)
    alone = folder / 'alone'
    mesh = mesh_lib.make_mesh()
    adapter = lora.initialize(model, worker.RANK, jax.random.key(0), mesh)
    peft.save(adapter, model, alone, 'base')
    for sizes in worker.MESHES:
      made = folder / 'out' / f'{"x".join(map(str, sizes))}_adapter'
      self.assertEqual(
        (made / peft.WEIGHTS).read_bytes(), (alone / peft.WEIGHTS).read_bytes()
      )


if __name__ == '__main__':
  absltest.main()
