#!/usr/bin/env bash
# pymodbus: bit 0 of a register is at place 8 of the list of its bits, and bit 8 at place 0
#
# Seen with pymodbus 3.16.1 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: `convert_from_registers([status], BITS)` gives sixteen booleans, the n-th of which is bit n, as a device's
# manual numbers them; or bit 15 first. Coils, which pymodbus reads too, come in the order of their numbers.
# Seen: the two bytes of a register are handed over high byte first and each is unpacked from its lowest bit: places 0
# to 7 are bits 8 to 15, places 8 to 15 are bits 0 to 7. A test that writes with convert_to_registers and reads again
# passes. `word_order` does not change it within a register. Who takes place 0 for "ready", bit 0, reads bit 8.
# https://github.com/pymodbus-dev/pymodbus/issues/2623 (open) tells it.
#
# What to do: read UINT16 and test `status >> n & 1`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pymodbus==3.16.1
venv/bin/python - <<'PY'
from pymodbus.client import ModbusTcpClient as Client

bits, number = Client.DATATYPE.BITS, Client.DATATYPE.UINT16
places = []
for bit in range(16):
    read = Client.convert_from_registers([1 << bit], bits)
    other = Client.convert_from_registers([1 << bit], bits, word_order="little")
    assert read == other and read.count(True) == 1
    places.append(read.index(True))
print("  bit of the register:", *range(16))
print("  place in the list:  ", *places)
first = Client.convert_to_registers([True] + [False] * 15, bits)
print(f"  a list that is true at place 0 is written as {first[0]}")
assert places == [*range(8, 16), *range(8)] and first == [256], "the finding is out of date"
assert Client.convert_from_registers(first, bits).index(True) == 0  # what a test there and back sees
status = Client.convert_from_registers([1], number)
assert [status >> n & 1 for n in range(16)] == [1] + [0] * 15
print("seen: the bits of the two bytes swapped")
PY
