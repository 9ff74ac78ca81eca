"""Edits through libhdf5: what a forger with h5py would try. Every function takes a generator and an open file."""

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

Edit = Callable[[np.random.Generator, h5py.File], None]


def _objects(file: h5py.File) -> list[h5py.HLObject]:
    groups = [file[name] for name in ("mode", "network", "moments") if name in file]
    return [file, *(item for group in groups for item in (group, *group.values()))]


def _one(rng: np.random.Generator, items: Any) -> Any:
    items = list(items)
    return items[rng.integers(len(items))]


def _dataset(rng: np.random.Generator, file: h5py.File) -> h5py.Dataset:
    return _one(rng, [item for item in _objects(file) if isinstance(item, h5py.Dataset)])


def _attribute(rng: np.random.Generator, file: h5py.File) -> tuple[h5py.AttributeManager, str]:
    item = _one(rng, [item for item in _objects(file) if len(item.attrs)])
    return item.attrs, _one(rng, item.attrs)


def _values(rng: np.random.Generator, file: h5py.File) -> list[object]:
    """One of every kind that an attribute can hold."""
    compound = np.zeros(2, [("a", "<f8"), ("b", "S5")])
    return [
        np.zeros(3), np.float32(1), np.float16(1), np.longdouble(1), np.complex128(1j), np.bool_(True), np.int8(1),
        np.uint64(1 << 63), np.int64(-(1 << 63)), np.array(1.0, ">f8"), np.array(1, ">i8"), np.float64("nan"), 1e999,
        b"bytes", np.bytes_(b"x" * 3000), "", "é" * 100, "x" * 60_000, "x" * 100_000, ["a", "b"], np.zeros((0,)),
        h5py.Empty("f8"), h5py.Empty(h5py.string_dtype()), compound, compound[0], np.void(b"opaque"),
        file["mode"].ref, file["mode/loc"].regionref[:3], np.array("a", h5py.string_dtype("ascii")),
        np.array(b"fixed", h5py.string_dtype("utf-8", 16)), np.array(1, h5py.enum_dtype({"one": 1})),
    ]  # fmt: skip


def delete(rng: np.random.Generator, file: h5py.File) -> None:
    """An attribute, a dataset or a group."""
    if rng.random() < 0.5:
        attributes, name = _attribute(rng, file)
        del attributes[name]
    else:
        item = _one(rng, _objects(file)[1:])
        del item.parent[item.name.split("/")[-1]]


def rename(rng: np.random.Generator, file: h5py.File) -> None:
    """An attribute or a member takes another's name, after it lost it, or a new one."""
    names = [
        "mode", "network", "moments", "value", "loc", "scale", "weight0", "bias0", "numbers", "mean_witness", "é",
        "x" * 300, "digest", "certificates",
    ]  # fmt: skip
    if rng.random() < 0.5:
        attributes, name = _attribute(rng, file)
        new = _one(rng, [*attributes, *names])
        value = attributes[name]
        del attributes[name]
        attributes[new] = value
    else:
        item = _one(rng, _objects(file)[1:])
        parent, new = item.parent, _one(rng, [*item.parent, *names])
        old = item.name.split("/")[-1]
        if new in parent and new != old:
            parent.move(new, "kept")
        if new != old:
            parent.move(old, new)


def retype_attribute(rng: np.random.Generator, file: h5py.File) -> None:
    """An attribute of another type, shape or length."""
    attributes, name = _attribute(rng, file)
    attributes[name] = _one(rng, _values(rng, file))


def attribute_bomb(rng: np.random.Generator, file: h5py.File) -> None:
    """Attributes by the hundred, or of kilobytes."""
    item = _one(rng, _objects(file))
    for k in range(rng.integers(1, 400)):
        item.attrs[f"a{k}"] = _one(rng, [k, "x" * k, np.zeros(rng.integers(1, 1000))])


def replace_dataset(rng: np.random.Generator, file: h5py.File) -> None:
    """The same values in another type, shape, order or storage."""
    dataset = _dataset(rng, file)
    values, parent, name = dataset[()], dataset.parent, dataset.name.split("/")[-1]
    changes: list[tuple[Any, dict[str, Any]]] = [
        (values, {"compression": "gzip"}), (values, {"shuffle": True, "chunks": True}), (values, {"fletcher32": True}),
        (values, {"chunks": True}), (values, {"maxshape": (None,) * values.ndim}), (values, {"scaleoffset": 3}),
        (values, {"compression": "lzf"}), (values.astype(">f4"), {}), (values.astype(values.dtype.newbyteorder()), {}),
        (values.astype("f8"), {}), (values.astype("f4"), {}), (values.astype("f2"), {}), (values.astype("i4"), {}),
        (values.astype("S8"), {}), (values.astype("c8"), {}), (values.view(f"V{values.itemsize}"), {}),
        (values.flatten(), {}), (values[None], {}), (values[:1], {}), (values[:0], {}), (values[:-1], {}),
        (np.float32(1), {}), (h5py.Empty("f4"), {}), (values.view([("a", values.dtype)]), {}),
        (values, {"fillvalue": 0.5}), (values, {"track_times": True}), (values, {"track_order": True}),
        (np.full(values.shape, "text", object), {"dtype": h5py.string_dtype()}),
        (values.T.copy(), {}), (values[::-1].copy(), {}), (np.zeros((1,) * 32, "f4"), {}),
    ]  # fmt: skip
    data, options = _one(rng, changes)
    del parent[name]
    parent.create_dataset(name, data=data, **options)


def storage_elsewhere(rng: np.random.Generator, file: h5py.File) -> None:
    """Values outside the file, in no place yet, in the header, or many times what is stored."""
    dataset = _dataset(rng, file)
    shape, dtype, parent, name = dataset.shape, dataset.dtype, dataset.parent, dataset.name.split("/")[-1]
    values = dataset[()]
    kind = rng.integers(6)
    del parent[name]
    if kind == 0:
        parent.create_dataset(name, shape, dtype, external=[("/etc/passwd", 0, values.nbytes)])
    elif kind == 1:
        layout = h5py.VirtualLayout(shape, dtype)
        layout[:] = h5py.VirtualSource("elsewhere.h5", "value", shape)
        parent.create_virtual_dataset(name, layout)
    elif kind == 2:
        parent.create_dataset(name, (1 << 15, 1 << 15), "f4", chunks=(1024, 1024))
    elif kind == 3:
        huge = h5py.h5s.create_simple((1 << 16,) * 2)
        h5py.h5d.create(parent.id, name.encode(), h5py.h5t.IEEE_F32LE, huge)  # nothing is allocated
    elif kind == 4:
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((16,))
        h5py.h5d.create(parent.id, name.encode(), h5py.h5t.IEEE_F64LE, space, compact)
    else:
        parent.create_dataset(name, data=np.zeros((2,) * int(rng.integers(3, 8)), dtype))


def link(rng: np.random.Generator, file: h5py.File) -> None:
    """Links of every kind, cycles among them."""
    item = _one(rng, _objects(file)[1:])
    parent, name = item.parent, item.name.split("/")[-1]
    kind = rng.integers(8)
    if kind == 0:
        parent.move(name, "kept")
        parent[name] = h5py.SoftLink(f"{parent.name}/kept")
    elif kind == 1:
        del parent[name]
        parent[name] = h5py.ExternalLink("elsewhere.h5", "/value")
    elif kind == 2:
        parent[name + "x"] = h5py.SoftLink(item.name)
    elif kind == 3:
        del parent[name]
        parent[name] = _one(rng, [file, file.get("mode", file)])  # a cycle of hard links
    elif kind == 4:
        file["mode/loop"] = file["/"]
    elif kind == 5:
        other = _one(rng, [i for i in _objects(file)[1:] if i != item])
        place = (other.parent, other.name.split("/")[-1])
        del place[0][place[1]]
        if item:
            place[0][place[1]] = item
    elif kind == 6:
        del parent[name]
        parent[name] = h5py.SoftLink(item.name)  # to itself
    else:
        parent["far"] = h5py.ExternalLink("elsewhere.h5", "/")


def more_members(rng: np.random.Generator, file: h5py.File) -> None:
    """Groups side by side or one in the other, other quantities, named types."""
    group = _one(rng, [file, file["mode"]])
    kind = rng.integers(5)
    if kind == 0:
        for k in range(rng.integers(1, 600)):
            group.create_group(f"g{k:03d}")
    elif kind == 1:
        for _ in range(rng.integers(1, 300)):
            group = group.create_group("g")
    elif kind == 2:
        group["variance"] = np.zeros((3, 3))
    elif kind == 3:
        file["type"] = np.dtype("<f4")
        dataset = _dataset(rng, file)
        values, parent, name = dataset[()], dataset.parent, dataset.name.split("/")[-1]
        del parent[name]
        parent.create_dataset(name, data=values, dtype=file["type"])
    else:
        group.create_group("ordered", track_order=True)


def group_for_dataset(rng: np.random.Generator, file: h5py.File) -> None:
    """A group where a dataset should be, or the other way round."""
    item = _one(rng, _objects(file)[1:])
    parent, name, was_group = item.parent, item.name.split("/")[-1], isinstance(item, h5py.Group)
    del parent[name]
    if was_group:
        parent[name] = np.zeros(3)
    else:
        parent.create_group(name)


ALL: tuple[Edit, ...] = (
    delete, rename, retype_attribute, attribute_bomb, replace_dataset, storage_elsewhere, link, more_members,
    group_for_dataset,
)  # fmt: skip
