"""A market's forms of trades (`connectors.venue.TradeWire`) as the compiled scanner reads them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from connectors.venue import Market, TradeKey, TradeRole, TradeWire
from flows.kernels import trades as t

TEXT_MAX = 16  # bytes of a name or a word
Int64s = NDArray[np.int64]


def trade_spec(market: Market) -> Int64s:
    """The market's forms, as `flows.kernels.trades` lays them out.

    Raises:
        ValueError: a form is one that the scanner cannot read.
    """
    packed = [len(market.trades), int(not market.has_book)] + [0] * len(market.trades)
    for i, wire in enumerate(market.trades):
        _check(market.name, wire)
        form = packed[t.SPEC_HEAD + i] = len(packed)
        packed += [
            int(wire.aggregated), int(wire.many), int(wire.numbers), int(wire.text_ids), int(wire.upper),
            int(wire.time), 0, 0,
        ]  # fmt: skip
        if wire.head:
            packed[form + t.F_HEAD] = _add_table(packed, wire.head)
        packed[form + t.F_BODY] = _add_table(packed, wire.body)
    return np.array(packed, np.int64)


def _add_table(packed: list[int], keys: Mapping[str, TradeKey]) -> int:
    """Append a table of keys and then their words; where it begins."""
    table = len(packed)
    needed = (not (key.optional or key.role is TradeRole.UNUSUAL) for key in keys.values())
    packed += [len(keys), sum(1 << i for i, is_needed in enumerate(needed) if is_needed)]
    packed += [0] * (t.KEY * len(keys))
    for i, (name, key) in enumerate(keys.items()):
        at = table + t.T_KEYS + i * t.KEY
        packed[at : at + t.KEY] = [*_packed(name), int(key.role), len(packed), len(key.words)]
        for text, meaning in key.words.items():
            packed += [*_packed(text), len(text), meaning]
    return table


def _packed(text: str) -> tuple[int, int]:
    """Up to 16 bytes as two little-endian int64."""
    raw = text.encode().ljust(TEXT_MAX, b"\0")
    return int.from_bytes(raw[:8], "little", signed=True), int.from_bytes(raw[8:], "little", signed=True)


def _check(market: str, wire: TradeWire) -> None:
    keys = [*wire.head.items(), *wire.body.items()]
    texts = [text for name, key in keys for text in (name, *key.words)]
    if any(not text.isascii() or not 0 < len(text) <= TEXT_MAX for text in texts):
        raise ValueError(
            f"{market}: expected names and words of up to {TEXT_MAX} ASCII characters, found {texts}"
        )
    if wire.head and not any(key.role is TradeRole.DATA for key in wire.head.values()):
        raise ValueError(f"{market}: expected a key of role DATA in the head of a message of trades")
    roles = {key.role for key in wire.body.values()}
    if missing := set(range(TradeRole.ID + 1)) - roles:
        raise ValueError(f"{market}: expected keys of all of a trade's roles, missing {sorted(missing)}")
