"""Writing a table, with its network if it has one: one HDF5 image in memory, one atomic rename on disk."""

import io
import os
from pathlib import Path

import h5py
import numpy as np

from tanhlut import schema
from tanhlut.network import Network
from tanhlut.table import ModeTable


def image(table: ModeTable) -> bytes:
    """The bytes of the table's file; the same table gives the same bytes."""
    buffer = io.BytesIO()
    arrays = {schema.LOC: table.loc, schema.SCALE: table.scale, schema.VALUE: table.values}
    with h5py.File(buffer, "w", userblock_size=schema.USER_BLOCK) as file:
        file.attrs["title"] = "Mode of a tanh-squashed Gaussian"
        file.attrs["Conventions"] = "CF-1.11"
        file.attrs["schema"] = schema.SCHEMA
        file.attrs["schema_version"] = np.int64(schema.VERSION)
        for name, value in table.metadata.items():
            file.attrs[name] = np.float64(value) if isinstance(value, float) else value
        file.attrs["digest"] = table.digest
        if table.certificates:
            text = schema.certificates_text([*table.certificates.values()])
            file.attrs["certificates"] = text
            file.attrs["certificates_digest"] = schema.certificates_digest(table.digest, text)
        group = file.create_group(schema.QUANTITY)
        for name, array in arrays.items():
            dataset = group.create_dataset(name, data=array, dtype=schema.DTYPES[name])
            for key, attribute in schema.ATTRIBUTES[name].items():
                dataset.attrs[key] = attribute
        if table.network is not None:
            _write_network(file.create_group(schema.NETWORK), table.network)
        for axis, name in enumerate((schema.LOC, schema.SCALE)):
            group[name].make_scale(name)
            group[schema.VALUE].dims[axis].label = name
            group[schema.VALUE].dims[axis].attach_scale(group[name])
    body = buffer.getvalue()[schema.USER_BLOCK :]
    return schema.header(body) + body


def _write_network(group: h5py.Group, network: Network) -> None:
    group.attrs["long_name"] = "network for the mode of tanh(Normal(loc, scale^2))"
    for name, value in network.metadata.items():
        group.attrs[name] = np.float64(value) if isinstance(value, float) else value
    group.attrs["layers"] = np.int64(len(network.weights))
    group.attrs["digest"] = network.digest
    for k, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        for name, array in ((schema.weight_name(k), weight), (schema.bias_name(k), bias)):
            group.create_dataset(name, data=array, dtype=schema.NETWORK_DTYPE)


def check_target(path: Path) -> Path:
    """The file that will be replaced, links followed; ValueError, before any long work, where that cannot succeed."""
    target = path.resolve()
    if target.is_dir():
        raise ValueError(f"{path} is a directory: name a file, for example {path / 'table.h5'}")
    if not target.parent.is_dir():
        raise ValueError(f"the folder {target.parent} does not exist: create it first")
    if not os.access(target.parent, os.W_OK):
        raise ValueError(f"the folder {target.parent} is not writable: choose another")
    return target


def write(target: Path, data: bytes) -> None:
    """Replace `target` by `data` at one instant: whoever looks sees the old file whole or the new one whole.

    The partial file has a fixed name, so what a kill leaves behind the next run overwrites.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
