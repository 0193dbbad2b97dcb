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

  @parameterized.parameters(0, 1, 4, 999, 5000)
  def test_goes_on_from_a_part(self, first):
    content = bytes(i * i % 251 for i in range(5000))
    before = checksum.crc32c(content[:first])
    self.assertEqual(
      checksum.crc32c(content[first:], before), checksum.crc32c(content)
    )

  def test_goes_on_from_a_part_whose_checksum_is_0(self):
    # These four bytes are those that have it; worked out by the definition.
    part = b'\xff\xff\xff\xff'
    self.assertEqual(checksum.crc32c(part), 0xFFFFFFFF)
    self.assertEqual(checksum._ending_in(0xFFFFFFFF), part)
    zero = checksum._ending_in(0)
    self.assertEqual(checksum.crc32c(zero), 0)
    self.assertEqual(
      checksum.crc32c(b'123', checksum.crc32c(zero)),
      checksum.crc32c(zero + b'123'),
    )


if __name__ == '__main__':
  absltest.main()
