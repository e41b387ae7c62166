"""The seed of a workflow's random numbers, as the SDK's core derives it from a run id.

A fork has a run id of its own, and with it other UUIDs and random numbers: inputs that hold one
would find no recorded answer. So the fork gets the recorded run's seed. The core hashes the id with
Rust's default hasher, SipHash-1-3 with a key of zeros; a test compares with a real worker.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1
type _State = tuple[int, int, int, int]


def randomness_seed(run_id: str) -> int:
    """The seed that the core gives to the run with this id."""
    # Rust ends a string with a byte that no UTF-8 text contains.
    data = run_id.encode() + b"\xff"
    state: _State = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        state = _absorbed(state, int.from_bytes(data[at : at + 8], "little"))
    last = int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56
    v0, v1, v2, v3 = _absorbed(state, last)
    state = (v0, v1, v2 ^ 0xFF, v3)
    for _ in range(3):
        state = _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _absorbed(state: _State, word: int) -> _State:
    v0, v1, v2, v3 = state
    v0, v1, v2, v3 = _round((v0, v1, v2, v3 ^ word))
    return v0 ^ word, v1, v2, v3


def _round(state: _State) -> _State:
    v0, v1, v2, v3 = state
    v0 = (v0 + v1) & _MASK
    v1 = _rotated(v1, 13) ^ v0
    v0 = _rotated(v0, 32)
    v2 = (v2 + v3) & _MASK
    v3 = _rotated(v3, 16) ^ v2
    v0 = (v0 + v3) & _MASK
    v3 = _rotated(v3, 21) ^ v0
    v2 = (v2 + v1) & _MASK
    v1 = _rotated(v1, 17) ^ v2
    v2 = _rotated(v2, 32)
    return v0, v1, v2, v3


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK
