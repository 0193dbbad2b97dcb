# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the CRC-32C against published values."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax.activations import checksum


class ChecksumTest(parameterized.TestCase):
  @parameterized.parameters(
    # The catalogue's check value, then RFC 3720, appendix B.4.
    (b'', 0),
    (b'123456789', 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b'\xff' * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
  )
  def test_published_values(self, content, expected):
    self.assertEqual(checksum.crc32c(content), expected)

  def test_agrees_with_the_definition_on_a_longer_input(self):
    content = bytes(i * i % 251 for i in range(5000))
    register = 0xFFFFFFFF
    for byte in content:
      register ^= byte
      for _ in range(8):
        register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    self.assertEqual(checksum.crc32c(content), register ^ 0xFFFFFFFF)


if __name__ == '__main__':
  absltest.main()
