"""Files of plain arrays: what was saved is loaded, and what was changed is refused."""

import numpy as np
import pytest

from recobatch.array_file import fingerprint_arrays, open_arrays, save_arrays
from recobatch.errors import BadTable

ARRAYS = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "names": np.array(["a", "bc"])}


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_survive_a_file(tmp_path, compressed):
    save_arrays(tmp_path / "a.npz", ARRAYS, compressed=compressed)
    with open_arrays(tmp_path / "a.npz", "weights") as found:
        assert found.pop("fingerprint") == fingerprint_arrays(ARRAYS)
        assert found.keys() == ARRAYS.keys()
        assert fingerprint_arrays(found) == fingerprint_arrays(ARRAYS)


@pytest.mark.parametrize("length", [1, 40, 300])
def test_what_numpy_reads_is_read(tmp_path, length):
    arrays = {"a" * length: np.arange(3), "f": np.asfortranarray(np.ones((3, 2))), "s": np.array("b"), "e": np.empty(0)}
    save_arrays(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz") as file, open_arrays(tmp_path / "a.npz", "weights") as found:
        assert found.keys() == {*file}
        for name in file:
            np.testing.assert_array_equal(found[name], file[name])
            assert (found[name].dtype, found[name].strides) == (file[name].dtype, file[name].strides)


def test_a_fingerprint_knows_names_types_shapes_and_values():
    weights = ARRAYS["weights"]
    others = [
        {"weight": weights}, {"weights": weights.astype(np.float64)}, {"weights": weights.T}, {"weights": weights + 1}
    ]  # fmt: skip
    assert len({fingerprint_arrays(each) for each in ({"weights": weights}, *others)}) == 5


def test_other_values_than_those_of_the_fingerprint_are_refused(tmp_path):
    changed = {**ARRAYS, "fingerprint": np.array(fingerprint_arrays({"weights": ARRAYS["weights"] + 1}))}
    np.savez(tmp_path / "a.npz", **changed)
    with (
        pytest.raises(BadTable, match=r"a.npz: found weights whose content differs from its .*train again"),
        open_arrays(tmp_path / "a.npz", "weights"),
    ):
        pass


def test_a_file_of_an_earlier_release_has_no_fingerprint(tmp_path):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    with open_arrays(tmp_path / "a.npz", "weights") as found:
        np.testing.assert_array_equal(found["weights"], ARRAYS["weights"])


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04 cut off"])
def test_what_is_no_such_file_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with (
        pytest.raises(BadTable, match=r"a.npz: found no weights .*expected a file saved by recobatch"),
        open_arrays(tmp_path / "a.npz", "weights"),
    ):
        pass


def test_an_array_that_is_missing_is_an_error_of_the_file(tmp_path):
    save_arrays(tmp_path / "a.npz", ARRAYS)
    with pytest.raises(BadTable, match="found no weights"), open_arrays(tmp_path / "a.npz", "weights") as found:
        found["bias"]


@pytest.mark.slow
@pytest.mark.parametrize("with_fingerprint", [True, False])
def test_a_damaged_byte_is_refused_or_changes_nothing(tmp_path, with_fingerprint):
    path = tmp_path / "a.npz"
    if with_fingerprint:
        save_arrays(path, ARRAYS)
    else:
        np.savez(path, **ARRAYS)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            with open_arrays(path, "weights") as found:
                arrays = {name: found[name] for name in ARRAYS}
        except BadTable:
            continue
        assert fingerprint_arrays(arrays) == fingerprint_arrays(ARRAYS), place
