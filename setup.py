# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Packaging: what is installed, and the versions it is known to work with.

CPython 3.11 gets jax 0.10 and flax 0.12.8, the last that support it; CPython
3.12 and later get jax 0.11 and a newer flax. Both are tested.
"""

import pathlib

import setuptools

ROOTS = ('selfexplain_jax', 'launch', 'experiments')

RUNTIME = (
  'absl-py>=2.3,<3',
  'etils[epath]>=1.13,<2',
  'flax>=0.12.8,<0.13',
  'google-crc32c>=1.6,<2',
  'grain>=0.2.18,<0.3',
  'huggingface_hub>=1',
  'jax>=0.10.2,<0.12',
  'jinja2>=3.1,<4',
  'matplotlib>=3.10,<4',
  'ml-collections>=1.1,<2',
  'ml-dtypes>=0.5,<1',
  'numpy>=2.1,<3',
  'optax>=0.2.8,<0.3',
  # Pinned: checkpoints use the v1 interface, whose names and folder layout
  # still change between releases; training/checkpoints.py alone uses it.
  'orbax-checkpoint==0.12.8',
  'pyarrow>=21',
  'pyyaml>=6,<7',
  'safetensors>=0.6,<1',
  'scipy>=1.15,<2',
  # The local page.
  'starlette>=0.47,<2',
  'tensorboardX>=2.6,<3',
  'tensorstore>=0.1.84,<0.2',
  'tokenizers>=0.22,<1',
  'tqdm>=4.67,<5',
  # For chat templates, which it renders without torch.
  'transformers>=5,<6',
  # How objects show themselves in notebooks; flax has it, too.
  'treescope>=0.1.10,<0.2',
  'uvicorn>=0.35,<1',
)

EXTRAS = {
  'test': (
    'array-record>=0.8,<1',  # Of grain, which can only read such files.
    'mypy>=2.4,<3',
    'pytest>=9,<10',
    'ruff>=0.17,<0.18',
  ),
  # Parity of models, sites and adapters with the PyTorch implementations.
  'reference': ('peft', 'torch'),
  # Tests of the local page, with Chromium and its driver.
  'browser': ('selenium>=4.30,<5',),
  # Similarity of descriptions by embeddings, which needs PyTorch. Judges behind
  # an endpoint need nothing.
  'embeddings': ('sentence-transformers>=3',),
  # What the benchmarks run beside this package. Each of the two wants an
  # environment of its own: dictionary-learning needs an old nnsight.
  'peers': ('nnsight', 'sae-lens', 'transformer-lens'),
  'peers-dictionary': ('dictionary-learning',),
  'tpu': ('etils[epath-gcs]', 'jax[tpu]'),
  'cloud': ('etils[epath-gcs]', 'gcp-storage-emulator'),
}

setuptools.setup(
  name='selfexplain_jax',
  version='0.1.0',
  description=(
    'Language models that explain their own activations, checked by '
    're-running the interventions they describe.'
  ),
  long_description=pathlib.Path(__file__)
  .with_name('README.md')
  .read_text(encoding='utf-8'),
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  license_files=['LICENSE'],
  python_requires='>=3.11',
  packages=setuptools.find_packages(
    include=[pattern for root in ROOTS for pattern in (root, f'{root}.*')]
  ),
  package_data={
    'selfexplain_jax': ['**/*.css', '**/*.html', '**/*.j2', '**/*.js']
  },
  install_requires=RUNTIME,
  extras_require=EXTRAS,
)
