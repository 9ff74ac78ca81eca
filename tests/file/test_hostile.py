"""Files from strangers: none may hang, crash or fill the memory, whatever it says and whoever signed it.

Every load here runs in a process of its own with a time limit, since the faults sought would stop this one.
"""

import json
import os
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from edits import edit
from tablegen import store
from tanhlut import ModeTable
from tanhlut.file import hdf5, reader, schema

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

from fuzzing import cases, content  # noqa: E402
from fuzzing.campaign import MOST_MEMORY, fuzz, judge  # noqa: E402
from fuzzing.pool import Worker  # noqa: E402

LITTLE_MEMORY = 50e6  # bytes over the baseline, for a file that is small or refused at its header


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def default_body() -> bytearray:
    return bytearray(store.image(ModeTable.default())[schema.USER_BLOCK :])


def check_harmless(worker: Worker, path: Path, *words: str) -> None:
    """Refused, in the words given, with little memory."""
    worker.send(path)
    answer = worker.receive()
    assert answer["outcome"] == "refused", answer
    assert answer["memory"] < LITTLE_MEMORY, answer
    for word in words:
        assert word in answer["why"]


def test_an_emptied_heap_ends(worker: Worker, tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    for begin, size in ((16, 16), (16, 4080), (0, 16), (8, 8)):  # of the collection; libhdf5 loops on the first two
        body = default_body()
        at = body.find(b"GCOL") + begin
        body[at : at + size] = bytes(size)
        path.write_bytes(cases.signed(body))
        check_harmless(worker, path, "attribute", "heap")


def test_sizes_of_texts_are_believed_only_within_the_file(worker: Worker, tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    whole = default_body()
    texts = [at for at in range(0, 8192, 8) if whole[at : at + 8] == bytes.fromhex("1901010010000000")]
    assert len(texts) > 10
    for length in (70_000, 1 << 20, 1 << 27, (1 << 31) - 1, 1 << 31, (1 << 32) - 1):
        body = bytearray(whole)
        for at in texts:  # past the datatype and a scalar dataspace
            struct.pack_into("<I", body, at + 32, length)
        heap = body.find(b"GCOL")
        struct.pack_into("<Q", body, heap + 24, length)  # the first object's size
        path.write_bytes(cases.signed(body))
        check_harmless(worker, path, "attribute", "longer than")
        struct.pack_into("<Q", body, heap + 8, 1 << 30)  # the collection's too
        path.write_bytes(cases.signed(body))
        check_harmless(worker, path, "attribute", "longer than")


def test_a_text_of_a_megabyte_is_refused(worker: Worker, coarse_file: Path) -> None:
    whole = coarse_file.read_bytes()
    for name in ("command", "digest", "schema"):
        coarse_file.write_bytes(whole)

        def lengthen(file: h5py.File, name: str = name) -> None:
            file.attrs[name] = "x" * 1_000_000

        edit(coarse_file, lengthen)
        check_harmless(worker, coarse_file, name, "longer than 65536 bytes")


def test_large_files_are_refused_before_they_are_read(worker: Worker, tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    good = store.image(ModeTable.default())
    for begin, size, words in (
        (b"", 1 << 26, "not a table file"),
        (b"", 1 << 30, "over the"),
        (good[:512], (1 << 26) + 1, "over the"),
        (good[:512], 1 << 40, "over the"),
        (good[:14], 14, "another schema version"),
        (good[:512], 512, "damaged"),
    ):
        with open(path, "wb") as file:
            file.write(begin)
            file.truncate(size)
        check_harmless(worker, path, words)


def test_headers_that_lead_to_themselves(worker: Worker, tmp_path: Path) -> None:
    """Continuation blocks, B-trees, groups and heaps whose addresses form a circle."""
    path, body = tmp_path / "file.h5", default_body()
    root = struct.unpack_from("<Q", body, 64)[0]
    tree, heap = struct.unpack_from("<QQ", body, 80)
    node = struct.unpack_from("<Q", body, tree + 32)[0]
    for at, address in (
        (root + 24, root + 16),  # the root's first continuation block is its own first block
        (tree + 32, tree),  # the B-tree's child is the B-tree
        (node + 16, root),  # the first member is the root
        (heap + 24, heap),  # names
    ):
        changed = bytearray(body)
        struct.pack_into("<Q", changed, at, address)
        path.write_bytes(cases.signed(changed))
        check_harmless(worker, path)


def test_certificates_that_are_hard_to_parse(worker: Worker, coarse: ModeTable, coarse_file: Path) -> None:
    whole = coarse_file.read_bytes()
    one = dict.fromkeys(schema.Certificate._fields, "")
    texts = {
        "[" * 60_000: "RecursionError", "[" + "9" * 60_000 + "]": "ValueError", "{": "JSONDecodeError",
        "[3]": "as a list", "3": "as a list", json.dumps([one | {"more": 1}]): "as a list", "[{}]": "as a list",
        json.dumps([one]): "'bound'", "x" * 70_000: "longer than",
    }  # fmt: skip
    for text, word in texts.items():

        def put(file: h5py.File, text: str = text) -> None:
            file.attrs["certificates"] = text
            file.attrs["certificates_digest"] = schema.certificates_digest(coarse.digest, text)

        coarse_file.write_bytes(whole)
        edit(coarse_file, put)
        check_harmless(worker, coarse_file, "certificate", word)


def test_the_largest_table_takes_no_more_than_it_must(worker: Worker, tmp_path: Path) -> None:
    large = cases.large_table()
    assert 0.9 * schema.MAX_FILE_BYTES < len(large.data) <= schema.MAX_FILE_BYTES
    path = tmp_path / "file.h5"
    path.write_bytes(large.data)
    worker.send(path)
    answer = worker.receive()
    assert answer["outcome"] == "loaded"
    assert content.Content(*answer["content"]) == large.content
    assert answer["memory"] < MOST_MEMORY


def test_mutated_files() -> None:
    """A few of what `scripts/fuzz_files` does; data/fuzz-files.json has the record of ten thousand."""
    found = fuzz(7, range(400))
    assert found["files"] == 400
    assert found["failures"] == []
    assert found["total"]["refused"] > 100
    assert found["total"]["loaded"] > 20
    record = json.loads((ROOT / "data" / "fuzz-files.json").read_text())
    assert record["files"] >= 10_000
    assert record["failures"] == []


def test_what_counts_as_a_failure(tmp_path: Path) -> None:
    """A hang and a crash are seen, the next file is loaded; and every other wrong outcome has a name."""
    base = content.bases()[1]
    path = tmp_path / "file.h5"
    path.write_bytes(base.data)
    with Worker(timeout=60.0) as worker:
        for number, timeout, word in ((signal.SIGSTOP, 0.1, "hung"), (signal.SIGSEGV, 60.0, "crashed")):
            worker.timeout = timeout
            os.kill(worker.pid, number)
            worker.send(path)
            assert worker.receive()["outcome"] == word
        worker.send(path)
        answer = worker.receive()
    case = cases.Case("untouched", base.content)
    assert answer["outcome"] == "loaded"
    assert judge(case, answer) is None
    other = content.Content(base.content.table, None, None, "0")
    assert judge(case._replace(content=other), answer) == "loaded as another table"
    assert "MB over" in str(judge(case, answer | {"memory": 301e6}))
    assert "crashed" in str(judge(case, {"outcome": "crashed", "why": "status -11"}))
    assert "refused" in str(judge(case._replace(must_load=True), {"outcome": "refused", "why": "no", "memory": 0}))


def test_files_are_read_as_libhdf5_reads_them(coarse_file: Path) -> None:
    """Every attribute and array that a table is made of, in the shipped file and in one that was edited."""
    edit(coarse_file, lambda file: [file.create_group(f"g{k}").attrs.create("é", "ü") for k in range(30)])
    edit(coarse_file, lambda file: file["mode"].attrs.create("comment", np.zeros(100)))
    for path in (ROOT / "data" / "default.h5", coarse_file):
        body = path.read_bytes()[schema.USER_BLOCK :]
        ours = hdf5.root(body)
        kinds = schema.METADATA | {"schema": str, "schema_version": int, "digest": str}
        with h5py.File(path, "r") as file:
            assert set(ours.attributes) == set(file.attrs)
            for name, kind in kinds.items():
                assert ours.attribute(name, kind) == file.attrs[name]
            for name, dtype in schema.DTYPES.items():
                theirs = file["mode"][name][()]
                values = ours.member("mode").member(name).array(dtype, (range(1, 1 << 20),) * theirs.ndim)
                assert values.dtype == theirs.dtype
                np.testing.assert_array_equal(values, theirs)
            if "network" in file:
                network = reader.read(path).network
                assert network is not None
                for k, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
                    np.testing.assert_array_equal(weight, file[f"network/weight{k}"][()])
                    np.testing.assert_array_equal(bias, file[f"network/bias{k}"][()])
                assert network.metadata == {name: file["network"].attrs[name] for name in schema.NETWORK_METADATA}


def test_what_could_not_be_read_back_is_not_written(coarse: ModeTable) -> None:
    longest = {**coarse.metadata, "command": "x" * 65_536}
    assert store.image(ModeTable(coarse.loc, coarse.scale, coarse.values, longest))
    longer = {**coarse.metadata, "command": "x" * 65_537}
    with pytest.raises(ValueError, match=r"cannot be stored.*'command' is longer than 65536 bytes"):
        store.image(ModeTable(coarse.loc, coarse.scale, coarse.values, longer))
