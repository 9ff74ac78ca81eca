"""The network as stored: what loads, and that nothing damaged or changed ever does unnoticed."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from edits import check_refused, edit
from tablegen import store
from tablegen.__main__ import main
from tanhlut import ModeTable
from tanhlut.file import schema
from tanhlut.file.network import Network


def network() -> Network:
    found = ModeTable.default().network
    assert found is not None
    return found


def with_layer(change: Callable[[list[np.ndarray], list[np.ndarray]], None]) -> Network:
    """The shipped network with other numbers, honestly signed."""
    weights, biases = [w.copy() for w in network().weights], [b.copy() for b in network().biases]
    change(weights, biases)
    return Network(weights, biases, dict(network().metadata))


def file_with(other: Network, path: Path) -> Path:
    """The shipped table with another network under the shipped network's claims, honestly signed."""
    table = ModeTable.default()
    claims = [c._replace(digest=other.digest) if c.method.startswith("mlp") else c for c in table.certificates.values()]
    path.write_bytes(store.image(ModeTable(table.loc, table.scale, table.values, table.metadata, claims, other)))
    return path


@pytest.fixture
def default_file(tmp_path: Path) -> Path:
    path = tmp_path / "default.h5"
    path.write_bytes(store.image(ModeTable.default()))
    return path


def test_a_file_gives_back_the_network(default_file: Path) -> None:
    again = ModeTable.load(default_file).network
    assert again is not None
    assert again.digest == network().digest
    assert again.widths == (2, 8, 8, 1)
    assert again.parameters == 105
    for twin in (copy.deepcopy(again), pickle.loads(pickle.dumps(again))):
        assert twin.digest == again.digest
    with pytest.raises(ValueError, match="read-only"):
        again.weights[0].flat[0] = 1
    with pytest.raises(AttributeError, match="immutable"):
        again.tolerance = 1.0
    with h5py.File(default_file, "r") as file:
        assert file["network/weight1"].shape == (8, 8)
        assert b"pickle" not in default_file.read_bytes()


def test_a_moved_weight_is_refused_unless_it_is_signed_again(default_file: Path) -> None:
    def change(file: h5py.File) -> None:
        file["network/weight1"][0, 0] += 1e-3

    edit(default_file, change)
    check_refused(default_file, "network")


def test_a_swapped_layer_is_refused(default_file: Path) -> None:
    def change(file: h5py.File) -> None:
        file["network"].move("weight0", "kept")
        file["network"].move("weight1", "weight0")
        file["network"].move("kept", "weight1")

    edit(default_file, change)
    check_refused(default_file, "layer 0")


def test_a_nan_weight_is_refused(default_file: Path) -> None:
    def change(file: h5py.File) -> None:
        file["network/bias0"][3] = np.nan

    edit(default_file, change)
    check_refused(default_file, "layer 0", "NaN")


@pytest.mark.parametrize("name", ["activation", "chart", "command", "digest", "layers", "tolerance"])
def test_changed_attributes_are_refused(default_file: Path, name: str) -> None:
    def change(file: h5py.File) -> None:
        old = file["network"].attrs[name]
        file["network"].attrs[name] = old + 1 if isinstance(old, np.number) else f"{old}!"

    edit(default_file, change)
    check_refused(default_file, "network")


@pytest.mark.parametrize("name", ["activation", "layers", "digest"])
def test_missing_attributes_are_refused(default_file: Path, name: str) -> None:
    edit(default_file, lambda file: file["network"].attrs.__delitem__(name))
    check_refused(default_file, name)


@pytest.mark.parametrize("keep", [0, 600, 1_141_000, 1_142_539])
def test_a_truncated_file_is_refused(default_file: Path, keep: int) -> None:
    default_file.write_bytes(default_file.read_bytes()[:keep])
    check_refused(default_file)


def test_odd_shapes_and_types_are_refused(default_file: Path) -> None:
    for name, array in (
        ("weight0", np.zeros((8, 2))),
        ("bias0", np.zeros((2, 4), np.float32)),
        ("bias2", np.zeros(2, np.float32)),
    ):
        path = default_file.with_name("odd.h5")
        path.write_bytes(default_file.read_bytes())

        def change(file: h5py.File, name: str = name, array: np.ndarray = array) -> None:
            del file["network"][name]
            file["network"].create_dataset(name, data=array)

        edit(path, change)
        check_refused(path)


def test_constructor_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="2 to 8 layers"):
        Network([], [], dict(network().metadata))
    with pytest.raises(ValueError, match="float32"):
        Network([w.astype(np.float64) for w in network().weights], list(network().biases), dict(network().metadata))
    with pytest.raises(ValueError, match="activation"):
        Network(list(network().weights), list(network().biases), dict(network().metadata) | {"activation": "relu"})


@pytest.mark.parametrize(
    "change",
    [
        lambda weights, biases: weights[2].__setitem__((0, 0), weights[2][0, 0] + 1e-3),
        pytest.param(lambda weights, biases: biases[2].__setitem__(0, biases[2][0] - 1e-3), marks=pytest.mark.slow),
    ],
    ids=["weight", "bias"],
)
def test_a_changed_network_signed_again_fails_its_proof(
    change: Callable[[list[np.ndarray], list[np.ndarray]], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_with(with_layer(change), tmp_path / "other.h5")
    assert main(["verify", str(path), "--method", "mlp"]) == 1
    assert "is proven" in capsys.readouterr().err


def test_the_digest_covers_every_number() -> None:
    seen = {network().digest}
    for k in range(3):
        for part in (0, 1):

            def change(weights: list[np.ndarray], biases: list[np.ndarray], k: int = k, part: int = part) -> None:
                array = (weights, biases)[part][k]
                array.flat[-1] = np.nextafter(array.flat[-1], np.float32(9))

            seen.add(with_layer(change).digest)
    assert len(seen) == 7
    assert set(schema.NETWORK_FIXED) <= set(schema.NETWORK_METADATA)
