"""Clusters of evidence: what belongs together, what it weighs, and what must hold of all."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flows.kernels.clusters import (
    CAPS,
    EVIDENCE_MAX,
    GROUPS,
    LEVELS_MAX,
    WIDTH_GAPS,
    Evidence,
    clusters,
    levels,
)

KINDS = st.sampled_from(sorted(GROUPS))
# Halves are exact in floats, so that mirror and permutation are too.
EVIDENCE = st.lists(
    st.builds(Evidence, st.integers(1, 200), KINDS, st.sampled_from("ab"), st.integers(1, 40), st.integers(0, 9)),
    max_size=30,
)  # fmt: skip
GAPS = st.integers(0, 12)


def _evidence(kind: str, *prices: float, weight: float = 5.0) -> list[Evidence]:
    return [Evidence(price, kind, "v", weight, 0) for price in prices]


def test_what_is_close_is_one_level_with_its_weighted_mean():
    low, high = levels(
        [*_evidence("poc", 100, weight=6), *_evidence("hvn", 104, weight=2), *_evidence("val", 120)], 4, 110
    )
    assert (low.price, low.side, low.strength, low.low, low.high) == (101, "support", 8, 100, 104)
    assert (high.price, high.side, high.strength) == (120, "resistance", 5)


def test_a_long_chain_falls_apart_at_its_widest_gaps():
    chain = _evidence("hvn", 0, 3, 6, 10, 13, 16)
    assert [[x.price for x in part] for part in clusters(chain, 4)] == [[0, 3, 6, 10, 13, 16]]
    chain = _evidence("hvn", 0, 3, 6, 10, 13, 17)
    assert [[x.price for x in part] for part in clusters(chain, 4)] == [[0, 3, 6], [10, 13], [17]]
    assert len(clusters(_evidence("hvn", *range(0, 60, 3)), 3)) == 20  # of equal gaps all


def test_each_group_of_kinds_is_capped():
    (level,) = levels(
        _evidence("wall", 100, 100, 100, weight=15) + _evidence("swing_low", 100, weight=3), 1, 90
    )
    assert level.strength == CAPS["wall"] + 3
    assert [x.weight for x in level.evidence] == [3, 10, 10, 10]
    (full,) = levels([x for kind in GROUPS for x in _evidence(kind, 1, weight=99)], 1, 90)
    assert full.strength == 100 == sum(CAPS.values())


def test_there_are_so_many_levels_a_side_the_strongest():
    many = [x for i in range(100) for x in _evidence("wall", i * 10.0, weight=1 + i % 25)]
    found = levels(many, 1, 500)
    assert [sum(x.side == side for x in found) for side in ("support", "resistance")] == [LEVELS_MAX] * 2
    assert min(x.strength for x in found) == 16  # each strength to 25 is there twice a side
    assert [x.price for x in found] == sorted(x.price for x in found)
    (heavy,) = levels(_evidence("hvn", *[1.0] * 99), 1, 0)
    assert len(heavy.evidence) == EVIDENCE_MAX


@given(EVIDENCE, GAPS)
def test_every_evidence_is_in_one_cluster_and_clusters_are_narrow_and_apart(evidence, gap):
    parts = clusters(sorted(evidence), gap)
    assert [x for part in parts for x in part] == sorted(evidence)
    for part in parts:
        prices = [x.price for x in part]
        assert prices[-1] - prices[0] <= WIDTH_GAPS * gap
        assert all(b - a <= gap for a, b in pairwise(prices))
    for before, after in pairwise(parts):
        assert after[0].price > before[-1].price


@given(EVIDENCE, GAPS, st.integers(1, 200))
def test_strength_is_the_sum_of_its_weights_within_bounds(evidence, gap, last_price):
    for level in levels(evidence, gap, last_price):
        assert abs(sum(x.weight for x in level.evidence) - level.strength) < 1e-9
        assert 0 < level.strength <= 100
        assert level.low <= level.price <= level.high
        assert (level.side == "support") == (level.price < last_price)
        for group, cap in CAPS.items():
            assert sum(x.weight for x in level.evidence if GROUPS[x.kind] == group) <= cap + 1e-9


@given(EVIDENCE, GAPS, st.integers(1, 200), st.randoms())
def test_order_changes_nothing(evidence, gap, last_price, random):
    expected = levels(evidence, gap, last_price)
    shuffled = list(evidence)
    random.shuffle(shuffled)
    assert levels(shuffled, gap, last_price) == expected


@given(EVIDENCE, GAPS)
def test_upside_down_support_is_resistance(evidence, gap):
    last_price = 100.25  # no level is there
    turned = levels([x._replace(price=-x.price) for x in evidence], gap, -last_price)
    other = {"support": "resistance", "resistance": "support"}
    found = [(-x.price, other[x.side], x.strength) for x in reversed(turned)]
    expected = levels(evidence, gap, last_price)
    assert [x[1] for x in found] == [x.side for x in expected]
    for one, level in zip(found, expected, strict=True):
        assert abs(one[0] - level.price) < 1e-9 and abs(one[2] - level.strength) < 1e-9
