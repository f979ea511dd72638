"""Indices and colours against the definition of the scale and the anchors of the ramps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.board.intensity import (
    EMPTY,
    LARGEST,
    RAMPS,
    UNKNOWN,
    Scale,
    default_handles,
    ramp,
    scale_for,
)

SIZES = st.floats(0, 1e9, allow_nan=False)
SMALLEST = st.sampled_from([5e-6, 0.05, 500.0])


@given(st.lists(SIZES, min_size=2), SMALLEST)
def test_index_grows_with_size(sizes, smallest):
    ordered = np.sort(np.array(sizes))
    index = Scale(smallest).index(ordered).astype(int)
    assert (np.diff(index) >= 0).all()
    assert index.max() <= LARGEST
    assert ((index == EMPTY) == (ordered < smallest)).all()


@given(st.lists(st.one_of(SIZES, st.just(math.nan)), min_size=1))
def test_unknown_is_told_from_empty(sizes):
    array = np.array(sizes)
    assert ((Scale().index(array) == UNKNOWN) == np.isnan(array)).all()


@given(st.floats(0.06, 4000), SMALLEST)
def test_index_tells_the_size_within_half_a_step(factor, smallest):
    scale = Scale(smallest)
    size = factor * smallest / 0.05
    index = int(scale.index(np.array([size]))[0])
    assert math.isclose(scale.size(index), size, rel_tol=scale.step / 2 * 1.05)
    assert math.isclose(scale.size(scale.position(size)), size, rel_tol=1e-9)


def test_five_decades():
    assert Scale().index(np.array([0.05, 0.0499, 5000.0, 1e9])).tolist() == [1, 0, 254, 254]


@given(st.lists(st.floats(1e-6, 1e9), min_size=1))
def test_scale_holds_the_median(sizes):
    index = scale_for(np.array(sizes)).index(np.array([np.median(sizes)]))[0]
    assert EMPTY < index < LARGEST


@given(st.lists(st.one_of(SIZES, st.just(math.nan))))
def test_handles_are_apart(sizes):
    low, high = default_handles(np.array(sizes))
    assert 0 < low < high


@pytest.mark.parametrize("name", RAMPS)
def test_ramp_begins_and_ends_at_its_anchors(name):
    colours, anchors = ramp(name), RAMPS[name].lower().split()
    assert len(colours) == 256
    assert (colours[0], colours[-1]) == (anchors[0], anchors[-1])
    luminance = [
        np.dot([int(c[i : i + 2], 16) for i in (1, 3, 5)], (0.2126, 0.7152, 0.0722)) for c in colours
    ]
    assert (np.diff(luminance) > -1.5).all()


def test_ice_passes_near_every_anchor():
    colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in ramp("ice")])
    for anchor in RAMPS["ice"].split():
        rgb = np.array([int(anchor[i : i + 2], 16) for i in (1, 3, 5)])
        assert np.abs(colours - rgb).max(axis=1).min() <= 4
