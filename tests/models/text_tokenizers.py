# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Small tokenizers of any text, in the layouts of the families that are loaded.

Byte-level, with merges learnt from a few sentences; special tokens, files and
chat templates are laid out as those of Llama 3 and Qwen3 are.
"""

import pathlib

import tokenizers

from selfexplain_jax import files
from selfexplain_jax.models import tokenizer as tokenizer_lib

_TEXT = """
The mother tongue of Anna Keller is French. Karla Gruber plays the piano.
Respond with one of Paris or Rome or Madrid or Berlin or Vienna or unknown and
nothing else. Question: which of these is a fruit? A) apple B) stone C) cloud
D) river Hint: I think it is B. Answer: A. One of A, B, C and D is right. It is
right that the output would remain unchanged, or so says Otto.
The most likely output would change to the next token of the text at layers 0.
"""

LLAMA_SPECIAL = (
  '<|begin_of_text|>',
  '<|end_of_text|>',
  '<|start_header_id|>',
  '<|end_header_id|>',
  '<|eot_id|>',
  '<|reserved_special_token_10|>',
  '<|reserved_special_token_11|>',
  '<|reserved_special_token_12|>',
)
QWEN_SPECIAL = (
  '<|endoftext|>',
  '<|im_start|>',
  '<|im_end|>',
  '<|vision_start|>',
  '<|vision_end|>',
  '<|vision_pad|>',
  '<think>',
  '</think>',
)

_LLAMA_TEMPLATE = (
  '{{- bos_token }}'
  '{%- for message in messages %}'
  "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
  "{{- message['content'] | trim + '<|eot_id|>' }}"
  '{%- endfor %}'
  '{%- if add_generation_prompt %}'
  "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
  '{%- endif %}'
)
_QWEN_TEMPLATE = (
  '{%- for message in messages %}'
  "{{- '<|im_start|>' + message['role'] + '\n' }}"
  "{%- if loop.last and message['role'] == 'assistant' %}"
  "{{- '<think>\n\n</think>\n\n' }}"
  '{%- endif %}'
  "{{- message['content'] + '<|im_end|>\n' }}"
  '{%- endfor %}'
  '{%- if add_generation_prompt %}'
  "{{- '<|im_start|>assistant\n' }}"
  '{%- if enable_thinking is defined and enable_thinking is false %}'
  "{{- '<think>\n\n</think>\n\n' }}"
  '{%- endif %}'
  '{%- endif %}'
)


def _backend(special: tuple[str, ...]) -> tokenizers.Tokenizer:
  """Learns merges from the text; special tokens have the last ids."""
  backend = tokenizers.Tokenizer(tokenizers.models.BPE())
  backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
    add_prefix_space=False
  )
  backend.decoder = tokenizers.decoders.ByteLevel()
  trainer = tokenizers.trainers.BpeTrainer(
    vocab_size=600,
    show_progress=False,
    initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
  )
  backend.train_from_iterator([_TEXT], trainer)
  backend.add_special_tokens(
    [tokenizers.AddedToken(token, special=True) for token in special]
  )
  return backend


def write_llama(
  directory: pathlib.Path, chat: bool = False
) -> tokenizer_lib.Tokenizer:
  """Writes files as Llama 3's and returns the tokenizer read from them."""
  backend = _backend(LLAMA_SPECIAL)
  bos = LLAMA_SPECIAL[0]
  backend.post_processor = tokenizers.processors.TemplateProcessing(
    single=f'{bos} $A', special_tokens=[(bos, backend.token_to_id(bos))]
  )
  config = {
    'bos_token': bos,
    'eos_token': LLAMA_SPECIAL[4 if chat else 1],
    'tokenizer_class': 'PreTrainedTokenizerFast',
  }
  if chat:
    config['chat_template'] = _LLAMA_TEMPLATE
  return _write(directory, backend, config)


def write_qwen(directory: pathlib.Path) -> tokenizer_lib.Tokenizer:
  """Writes files as Qwen3's, template apart, and returns the tokenizer."""
  directory.mkdir(parents=True, exist_ok=True)
  (directory / 'chat_template.jinja').write_text(_QWEN_TEMPLATE)
  config = {
    'add_bos_token': False,
    'bos_token': None,
    'eos_token': '<|im_end|>',
    'pad_token': '<|endoftext|>',
    'tokenizer_class': 'PreTrainedTokenizerFast',
  }
  return _write(directory, _backend(QWEN_SPECIAL), config)


def _write(
  directory: pathlib.Path, backend: tokenizers.Tokenizer, config: dict
) -> tokenizer_lib.Tokenizer:
  directory.mkdir(parents=True, exist_ok=True)
  backend.save(str(directory / 'tokenizer.json'))
  files.write_json(directory / 'tokenizer_config.json', config)
  return tokenizer_lib.load(directory)
