# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what compiled programs take, against plain counting."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp

from selfexplain_jax.compiled import chips
from selfexplain_jax.compiled import costs
from selfexplain_jax.compiled import hlo
from selfexplain_jax.compiled import products as products_lib
from selfexplain_jax.compiled import roofline

_COLLECTIVE = """HloModule m
%cond (a: (s32[], f32[8])) -> pred[] {
  %a = (s32[], f32[8]{0}) parameter(0)
  %limit = s32[] constant(5)
  %i = s32[] get-tuple-element(%a), index=0
  ROOT %less = pred[] compare(%i, %limit), direction=LT
}
%body (b: (s32[], f32[8])) -> (s32[], f32[8]) {
  %b = (s32[], f32[8]{0}) parameter(0)
  %x = f32[8]{0} get-tuple-element(%b), index=1
  %sum = f32[8]{0} all-reduce(%x), channel_id=1, GROUPS, to_apply=%add
  %again = f32[8]{0} all-reduce(%x), channel_id=1, GROUPS, to_apply=%add
  %i = s32[] get-tuple-element(%b), index=0
  %by = s32[] constant(1)
  %next = s32[] add(%i, %by)
  ROOT %out = (s32[], f32[8]{0}) tuple(%next, %sum)
}
ENTRY %main (p: f32[8]) -> f32[64] {
  %p = f32[8]{0} parameter(0)
  %t = (s32[], f32[8]{0}) tuple(%zero, %p)
  %loop = (s32[], f32[8]{0}) while(%t), condition=%cond, body=%body
  ROOT %all = f32[64]{0} all-gather(%p), channel_id=2, GROUPS, dimensions={0}
}
"""


def _convolution(output, left, right, window, labels):
  return f"""HloModule m
ENTRY %main (a: f32[1], b: f32[1]) -> f32[1] {{
  %a = f32[{left}]{{0}} parameter(0)
  %b = f32[{right}]{{0}} parameter(1)
  ROOT %c = f32[{output}]{{0}} convolution(%a, %b), {window}dim_labels={labels}
}}
"""


class CountTest(parameterized.TestCase):
  @parameterized.parameters(1, 7)
  def test_bodies_count_as_often_as_they_run(self, times):
    def run(x, w):
      return jax.lax.scan(lambda x, w: (x @ w, None), x, w)[0]

    x = jnp.ones((16, 32))
    compiled = jax.jit(run).lower(x, jnp.ones((times, 32, 32))).compile()
    found = costs.count(compiled.as_text())
    self.assertEqual(found.flops, times * 2 * 16 * 32 * 32)
    self.assertEqual(found.passes, found.flops)
    # At least the weights are read.
    self.assertGreaterEqual(found.bytes, times * 32 * 32 * 4)

  @parameterized.parameters(
    ('replica_groups={{0,1,2,3},{4,5,6,7}}', 4, False),
    ('replica_groups=[2,4]<=[8]', 4, False),
    ('replica_groups=[2,4]<=[4,2]T(1,0)', 4, True),
    ("replica_groups=mesh['a'=2,'b'=4] {'b'}", 4, False),
    ("replica_groups=mesh['a'=2,'b'=4] {'a'}", 2, True),
    ("replica_groups=mesh['a'=2,'b'=4] {'a','b'}", 8, True),
  )
  def test_messages(self, groups, size, between):
    text = _COLLECTIVE.replace('GROUPS', groups)
    reduced, gathered = costs.count(text, slice_chips=4).messages
    share = (size - 1) / size
    # A step of a collective that is cut into several is no other one.
    self.assertEqual(
      reduced,
      costs.Message('all-reduce', 2 * 32 * share, size, between, 5, '1'),
    )
    self.assertEqual(
      gathered, costs.Message('all-gather', 256 * share, size, between, 1, '2')
    )
    least = roofline.roofline(
      costs.count(text, slice_chips=4),
      chips.Chip(1.0, 1.0, 1.0, links=2.0, network=4.0),
    )
    sent = (5 * 64 + 256) * share
    self.assertEqual(least.links, 0 if between else sent / 2)
    self.assertEqual(least.network, sent / 4 if between else 0)
    self.assertEqual(
      roofline.collectives(costs.count(text))[f'all-reduce of {size}']['times'],
      5,
    )

  def test_loops_that_count_by_more_run_less(self):
    by_two = _COLLECTIVE.replace('constant(1)', 'constant(2)')
    by_two = by_two.replace('GROUPS', 'replica_groups={{0,1}}')
    self.assertEqual(costs.count(by_two).messages[0].times, 3)

  @parameterized.parameters(
    # A product of matrices, as TPUs say it.
    ('6,5', '6,4', '4,5', '', 'bf_io->bf', 6 * 5 * 4),
    # One for each of 3 heads: shifts in which padding is met do not count.
    (
      *('6,3,5', '6,4,1', '3,5,4', 'window={size=3 pad=2_2 rhs_reversal=1}, '),
      *('bf0_0oi->b0f', 6 * 3 * 5 * 4),
    ),
    # Dilated, so that a step of the window meets one of 3 rows.
    (
      *('3,6,5', '3,6,4', '3,4,5', 'window={size=3 stride=2 lhs_dilate=3}, '),
      *('0bf_0io->0bf', 6 * 3 * 5 * 4),
    ),
  )
  def test_convolutions(self, output, left, right, window, labels, products):
    text = _convolution(output, left, right, window, labels)
    self.assertEqual(costs.count(text).flops, 2 * products)

  def test_pairs_equal_a_plain_count(self):
    for case in itertools.product(
      (3, 5), (2, 4), (3,), (1, 2), (-1, 0, 2), (1, 3), (1, 2)
    ):
      made, kernel, taken, stride, before, dilated, apart = case
      met = 0
      for out in range(made):
        for at in range(kernel):
          place = out * stride + at * apart - before
          met += place in [dilated * i for i in range(taken)]
      self.assertEqual(products_lib._pairs(*case), met, case)

  @parameterized.product(
    kernel=(('fwd', 2), ('dkv', 4), ('dq', 3), ('other', 0)), block=(128, 384)
  )
  def test_kernels_count_by_formula(self, kernel, block):
    what, products = kernel
    text = (
      'ENTRY %e (q: bf16[1]) -> bf16[1] {\n'
      '  %q = bf16[4,384,8]{2,1,0} parameter(0)\n'
      '  %k = bf16[2,384,8]{2,1,0} parameter(1)\n'
      '  %v = bf16[2,384,8]{2,1,0:S(1)} parameter(2)\n'
      f'  ROOT %splash_mha_{what}_x = bf16[4,384,8]{{2,1,0}} custom-call(%q, '
      '%k, %v), custom_call_target="tpu_custom_call", frontend_attributes={a={'
      f'\n"more":"{{\\"block_q_dq\\": {block}}}"\n}}}}, '
      'metadata={op_name="x"}\n}\n'
    )
    found = costs.count(text)
    # Of 3 x 3 blocks of 128 positions three are above the diagonal.
    seen = 2 / 3 if block == 128 else 1
    self.assertEqual(found.flops, products * 2 * 4 * 384 * 384 * 8 * seen)
    self.assertEqual(found.bytes, (4 + 2 + 4) * 384 * 8 * 2)
    self.assertEqual(found.kernels, {'tpu_custom_call': 1})

  @parameterized.parameters(('S(1)', 16), ('', 32))
  def test_a_part_that_is_fetched_ahead_counts_once(self, near, expected):
    found = costs.count(
      'ENTRY %e (p: bf16[4,8]) -> bf16[1,8] {\n'
      '  %p = bf16[4,8]{1,0} parameter(0)\n'
      '  %s = ((bf16[4,8]{1,0}), bf16[1,8]{1,0:T(8,128)(2,1)NEAR}, '
      's32[]{:S(2)}) slice-start(%p), slice={[0:1], [0:8]}\n'
      '  ROOT %d = bf16[1,8]{1,0:T(8,128)(2,1)NEAR} slice-done(%s)\n'
      '}\n'.replace('NEAR', near)
    )
    self.assertEqual(found.bytes, expected)


class ParseTest(absltest.TestCase):
  def test_fast_memory_is_told_from_the_main_one(self):
    module = hlo.parse(
      'ENTRY %e (p: bf16[4]) -> bf16[4] {\n'
      '  %p = bf16[4,8]{1,0:T(8,128)(2,1)} parameter(0)\n'
      '  ROOT %c = bf16[4,8]{1,0:T(8,128)(2,1)S(1)} copy(%p)\n}\n'
    )
    one, two = module.computations['e'].instructions
    self.assertEqual(one.array, hlo.Array('bf16', (4, 8), False))
    self.assertEqual(two.array, hlo.Array('bf16', (4, 8), True))
    self.assertEqual(two.operands, ('p',))
    self.assertTrue(two.root)
    self.assertEqual(one.array.bytes, 64)

  def test_refuses_what_is_no_program(self):
    with self.assertRaisesRegex(ValueError, 'no program'):
      hlo.parse('HloModule m')


if __name__ == '__main__':
  absltest.main()
