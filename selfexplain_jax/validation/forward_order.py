# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""All sites and layers of a model, in the order of the forward pass."""

from selfexplain_jax.models import sites as sites_lib


def cells(layers: int) -> list[tuple[str, int]]:
  """Returns site and layer of every tensor of a model with so many layers."""
  layered = [site.name for site in sites_lib.SITES if site.layered]
  blocks = [(name, layer) for layer in range(layers) for name in layered]
  return [('embed', 0), *blocks, ('final_norm', 0)]


def tensor(site: str, layer: int) -> str:
  """Returns how a tensor is written, such as `resid_mid[3]` or `embed`."""
  return f'{site}[{layer}]' if sites_lib.site(site).layered else site
