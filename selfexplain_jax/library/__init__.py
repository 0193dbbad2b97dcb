# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
