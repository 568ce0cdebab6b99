import numpy as np
import pytest

from pipeline_lib.coref.running import Running


@pytest.mark.parametrize("seed", range(20))
def test_parts_give_the_moments_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    scale, shift = rng.choice([1e-3, 1.0, 100.0]), rng.choice([0.0, 1.0, 100.0])
    parts = [(rng.normal(size=(n, 4)) * scale + shift).astype("f4") for n in rng.integers(0, 20, size=9)]
    found = Running()
    for part in parts:
        found.add(part)
    whole = np.concatenate(parts).astype("f8")
    assert found.count == len(whole)
    assert np.allclose(found.mean, whole.mean(axis=0), rtol=1e-12, atol=1e-12)
    assert np.allclose(found.deviation(), whole.std(axis=0), rtol=1e-6)


def test_a_dimension_that_never_varies_has_deviation_one():
    found = Running()
    for rows in ([[7.25, 1.0], [7.25, 3.0]], [[7.25, 2.0]]):
        found.add(np.array(rows, "f4"))
    assert found.mean.tolist() == [7.25, 2.0]
    assert found.deviation() == pytest.approx([1.0, np.sqrt(2 / 3)])
