"""Models that are kept ready: never held by two, never more than stated, never after an error."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skinseg.networks import _pool, clear_pool
from skinseg.networks._pool import borrowed_model, first_weights


class Model:
    """Stands for a network; counts how often it is filled."""

    def __init__(self):
        self.filled = []

    def set_weights(self, weights):
        self.filled.append([float(array) for array in weights])


@pytest.fixture(autouse=True)
def own_pool(monkeypatch):
    """A pool of this test alone, so that models of others stay."""
    monkeypatch.setattr(_pool, "_models", type(_pool._models)())
    monkeypatch.setattr(_pool, "_starts", type(_pool._starts)())


def borrow(key, weights=None, digest="", build=Model):
    with borrowed_model(key, build, weights, digest) as model:
        return model


def refuse():
    raise AssertionError("a model was built although one is kept")


def weights(value):
    return [np.float32(value)]


def test_a_model_is_built_once_and_handed_out_again():
    first = borrow("a")
    assert borrow("a", build=refuse) is first
    assert borrow("b") is not first
    assert first.filled == []


def test_weights_are_filled_in_once_as_long_as_their_hash_stays():
    first = borrow("a", weights(1), "one")
    assert borrow("a", weights(1), "one", refuse) is first
    assert first.filled == [[1.0]]
    borrow("a", weights(2), "two", refuse)
    borrow("a", weights(1), "one", refuse)
    assert first.filled == [[1.0], [2.0], [1.0]]


def test_without_a_hash_weights_are_always_filled_in():
    first = borrow("a", weights(1))
    borrow("a", weights(1), build=refuse)
    assert first.filled == [[1.0], [1.0]]


def test_a_model_lent_without_weights_does_not_keep_its_hash():
    first = borrow("a", weights(1), "one")
    borrow("a", build=refuse)  # whoever had it may have trained it
    borrow("a", weights(1), "one", refuse)
    assert first.filled == [[1.0], [1.0]]


def test_of_several_models_that_with_the_weights_is_taken():
    with (
        borrowed_model("a", Model, weights(1), "one") as first,
        borrowed_model("a", Model, weights(2), "two") as second,
    ):
        assert first is not second
    assert borrow("a", weights(2), "two", refuse) is second
    assert borrow("a", weights(1), "one", refuse) is first
    assert len(first.filled) == len(second.filled) == 1


def test_a_borrowed_model_is_not_lent_again():
    with borrowed_model("a", Model) as outer:
        with borrowed_model("a", Model) as inner:
            assert inner is not outer
        assert borrow("a", build=refuse) is inner


def test_no_more_are_kept_than_stated_and_those_used_last():
    for key in "abcdef":
        borrow(key)
    assert [entry[0] for entry in _pool._models.values()] == list("cdef")[-_pool._KEPT :]
    borrow("c", build=refuse)  # used again: now the last to go
    borrow("g")
    assert [entry[0] for entry in _pool._models.values()] == list("efcg")


def test_a_model_that_an_error_interrupted_is_not_kept():
    with pytest.raises(KeyboardInterrupt), borrowed_model("a", Model) as model:
        raise KeyboardInterrupt
    assert not _pool._models
    assert borrow("a") is not model


def test_an_error_while_a_model_is_filled_keeps_it_out():
    class Small(Model):
        def set_weights(self, weights):
            raise ValueError("other shapes")

    with pytest.raises(ValueError, match="other shapes"):
        borrow("a", weights(1), "one", Small)
    assert not _pool._models


def test_clear_pool_lets_go_of_all():
    first = borrow("a")
    clear_pool()
    assert borrow("a") is not first


def test_two_threads_never_hold_the_same_model():
    held, twice, built = set(), [], []
    lock, start = threading.Lock(), threading.Barrier(8)

    def build():
        built.append(1)
        return Model()

    def work(number):
        start.wait(timeout=10)
        for step in range(60):
            digest = str((number + step) % 3)
            with borrowed_model("a", build, weights(digest), digest) as model:
                with lock:
                    twice.extend([model] if id(model) in held else [])
                    held.add(id(model))
                time.sleep(0.0002)
                assert model.filled[-1] == [float(digest)]  # and each has the weights that it asked for
                with lock:
                    held.remove(id(model))
        return number

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == list(range(8))
    assert twice == []
    assert 2 <= len(built) < 8 * 60
    assert len(_pool._models) <= _pool._KEPT


def test_first_weights_are_made_once_for_each_key_and_the_last_two_are_kept():
    made = []

    def make(value):
        made.append(value)
        return weights(value)

    for value in (1, 2, 1, 3, 1, 2):  # 3 takes the place of 2, for 1 was used since
        assert first_weights(str(value), lambda value=value: make(value)) == [value]
    assert made == [1, 2, 3, 2]
    clear_pool()
    first_weights("2", lambda: make(2))
    assert made == [1, 2, 3, 2, 2]


def test_first_weights_cannot_be_changed_by_who_took_them():
    own = [np.zeros(3)]
    taken = first_weights("a", lambda: own)
    own[0] += 1
    with pytest.raises(ValueError, match="read-only"):
        taken[0] += 1
    taken.clear()
    np.testing.assert_array_equal(first_weights("a", refuse), [np.zeros(3)])
