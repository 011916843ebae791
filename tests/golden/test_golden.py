"""Features against values derived by hand; a table for each group tells derivations and tolerances."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shapes import SHAPES

from skinseg import ABCDFeaturizer
from skinseg.features import FEATURES

TABLE = pd.concat(map(pd.read_csv, sorted(Path(__file__).parent.glob("*.csv"))), ignore_index=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_values(shape):
    values = dict(zip(FEATURES, ABCDFeaturizer().transform([SHAPES[shape]()])[0], strict=True))
    rows = TABLE[TABLE["shape"] == shape]
    assert len(rows) > 0
    off = {
        row.feature: (values[row.feature], row.value)
        for row in rows.itertuples()
        if not abs(values[row.feature] - row.value) <= row.tolerance
    }
    assert not off, f"measured and derived: {off}"


def test_every_feature_has_a_value_and_every_value_a_feature():
    assert set(TABLE["feature"]) == set(FEATURES)
    assert set(TABLE["shape"]) == set(SHAPES)
    assert not TABLE.duplicated(["shape", "feature"]).any()


def test_every_value_tells_where_it_is_from():
    assert TABLE["derivation"].str.len().ge(1).all()
    assert TABLE["tolerance"].ge(0).all()
    assert np.isfinite(TABLE["value"]).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_values_lie_in_the_stated_ranges(shape):
    for name, value in zip(FEATURES, ABCDFeaturizer().transform([SHAPES[shape]()])[0], strict=True):
        assert FEATURES[name].low <= value <= FEATURES[name].high, name


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_change_nothing(turns):
    """Except where the principal axes change places on a shape without a direction."""
    record = SHAPES["l_shape"]()
    turned = type(record)(
        np.ascontiguousarray(np.rot90(record.image, turns)),
        np.ascontiguousarray(np.rot90(record.mask, turns)),
        pixel_size=record.pixel_size,
    )
    names = ABCDFeaturizer().get_feature_names_out()
    first, second = ABCDFeaturizer().transform([record, turned])
    for name, a, b in zip(names, first, second, strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=5e-3), name
