"""HDF5 as table files use it, parsed here: every size is checked before it is believed, every loop is counted.

A file of ours is, byte for byte, what h5py wrote for `tablegen.store`: its header says so. Nothing else need be read:
superblock 0, object headers of version 1, groups of one B-tree node, datasets in one piece, attributes of one number or
text. All else is refused, never guessed at. libhdf5 never sees the file: anyone can sign a header, and a forged file
can make libhdf5 loop for ever or allocate gigabytes. What a viewer shows of such a file may be something else; digests
and certificates speak of what is read here.

Words are those of the HDF5 File Format Specification; offsets count from the end of the user block.
"""

import math
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tanhlut.file import schema

# What a file of ours stays far below; with these, no forged one takes more than a fraction of a second.
MOST_MESSAGES = 256  # of one object header
MOST_NODES, MOST_SYMBOLS = 32, 8  # of a B-tree node, of a symbol table node: 2K of the superblock's K
MOST_TEXT = 1 << 16  # bytes of an attribute
MOST_HEAP = MOST_TEXT + (1 << 12)  # bytes of a global heap collection: 4096, or what one large text needs
LONGEST_NAME = 255

_DATATYPES: Final = {
    "<f4": bytes.fromhex("11201f00 04000000 00002000 17080017 7f000000"),
    "<f8": bytes.fromhex("11203f00 08000000 00004000 340b0034 ff030000"),
    "<i8": bytes.fromhex("10080000 08000000 00004000"),
    "text": bytes.fromhex("19010100 10000000 10000000 01000000 00000800"),  # UTF-8 of variable length
}
_ATTRIBUTES: Final = {float: ("<f8", Struct("<d")), int: ("<i8", Struct("<q")), str: ("text", Struct("<IQI"))}

_SUPERBLOCK = Struct("<8s16s4Q40s")
_SUPERBLOCK_BEGINS = bytes.fromhex("00000000 00080800 04001000 00000000")  # versions; sizes of 8 bytes; K 4 and 16
_ENTRY = Struct("<QQI4x16x")
_OBJECT_HEADER = Struct("<BBHIII")
_MESSAGE = Struct("<HHB3x")
_ATTRIBUTE = Struct("<BxHHH")
_SPACE = Struct("<BBB5x")
_STORAGE, _CONTIGUOUS = Struct("<BB"), Struct("<BBQQ")
_BTREE = Struct("<4sBBHQQ")
_LOCAL_HEAP = Struct("<4sB3xQQQ")
_SYMBOLS = Struct("<4sBxH")
_COLLECTION = Struct("<4sB3xQ")
_HEAP_OBJECT = Struct("<H6xQ")
_PAIR = Struct("<QQ")
_UNDEFINED = (1 << 64) - 1
_SOFT = 2  # cache type of a link that is only a path

# Object header messages.
_NIL, _DATASPACE, _DATATYPE, _OLD_FILL, _FILL, _LAYOUT, _ATTRIBUTE_MESSAGE, _COMMENT = 0, 1, 3, 4, 5, 8, 12, 13
_CONTINUATION, _SYMBOL_TABLE, _MODIFIED = 16, 17, 18
_OF_DATASET, _OF_GROUP = {_DATASPACE, _DATATYPE, _LAYOUT}, {_SYMBOL_TABLE}
_IGNORED = {_NIL, _OLD_FILL, _FILL, _COMMENT, _MODIFIED}
_KNOWN = {*_OF_DATASET, *_OF_GROUP, _ATTRIBUTE_MESSAGE, _CONTINUATION}
_REFUSED = {
    2: "links are kept as no table keeps them (ExternalLink?)",
    6: "has an ExternalLink or another link of its header",
    7: "data lies outside this file",
    11: "uses storage filters, tables use none",
    21: "attributes are kept outside its header",
}
_STORAGES = {0: "in its header", 1: "in one piece", 2: "in chunks", 3: "outside this file"}


class LayoutError(ValueError):
    """The bytes are not HDF5 as tables use it; says where."""


class _Bytes(NamedTuple):
    """The file after its user block."""

    body: memoryview

    def take(self, at: int, size: int) -> memoryview:
        if not at + size <= len(self.body):
            raise LayoutError(f"is not readable as HDF5: a structure at byte {at} of {len(self.body)} has {size} bytes")
        return self.body[at : at + size]

    def unpack(self, form: Struct, at: int) -> tuple[Any, ...]:
        return _unpack(form, self.body, at)


class Item:
    """A group or a dataset.

    Attributes:
        name: its path.
        attributes: the names of its attributes.
    """

    def __init__(self, file: _Bytes, address: int, name: str) -> None:
        self.name = name
        self._file = file
        self._single: dict[int, memoryview] = {}
        self._attributes: dict[str, memoryview] = {}
        for kind, content in self._messages(address):
            if kind == _ATTRIBUTE_MESSAGE:
                key = _attribute_name(content)
                if key in self._attributes:
                    raise self._error(f"has two attributes {key!r}")
                self._attributes[key] = content
            elif kind in self._single:
                raise self._error(f"has two messages of type {kind}")
            else:
                self._single[kind] = content
        self.attributes = self._attributes.keys()
        self._links: dict[str, tuple[int, int]] | None = None

    def attribute(self, name: str, kind: type) -> Any:
        """The one float, int or str of an attribute."""
        if name not in self._attributes:
            raise self._error(f"attribute {name!r} is missing")
        content = self._attributes[name]
        version, name_size, type_size, space_size = _unpack(_ATTRIBUTE, content)
        type_at = _ATTRIBUTE.size + _padded(name_size)
        space_at = type_at + _padded(type_size)
        datatype, form = _ATTRIBUTES[kind]
        single = _SPACE.pack(1, 0, 0) == content[space_at : space_at + space_size]
        if version != 1 or not single or content[type_at : type_at + type_size] != _DATATYPES[datatype]:
            raise self._error(f"attribute {name!r} is not one {kind.__name__}")
        found = _unpack(form, content, space_at + _padded(space_size))
        return self._text(name, *found) if kind is str else found[0]

    def __contains__(self, name: str) -> bool:
        return name in self._members()

    def member(self, name: str) -> "Item":
        """A child reached by a hard link only: a soft one could lead anywhere."""
        path = f"{self.name.rstrip('/')}/{name}"
        if name not in self._members():
            raise LayoutError(f"{path} is missing")
        address, cache_type = self._members()[name]
        if cache_type == _SOFT:
            raise LayoutError(f"{path} is a SoftLink, not in this file")
        return Item(self._file, address, path)

    def array(self, dtype: str, allowed: tuple[range, ...]) -> NDArray[Any]:
        """A dataset's values, copied, once type, shape and storage are right.

        Args:
            dtype: "<f4" or "<f8".
            allowed: the sizes that each axis may have.
        """
        if self._single.keys() != _OF_DATASET:
            raise self._error("is a Group or something else, not a Dataset")
        datatype, content = self._single[_DATATYPE], self._single[_LAYOUT]
        form = _DATATYPES[dtype]
        if datatype[: len(form)] != form:
            raise self._error(f"dtype is not {np.dtype(dtype)}, little-endian")
        shape = self._shape()
        if len(shape) != len(allowed) or not all(n in sizes for n, sizes in zip(shape, allowed, strict=True)):
            sizes = f"{allowed[0][0]} to {allowed[0][-1]}"
            raise self._error(f"shape is {shape}; {len(allowed)} axes of {sizes} are allowed")
        version, storage = _unpack(_STORAGE, content)
        if (version, storage) != (3, 1):
            raise self._error(f"is stored {_STORAGES.get(storage, 'otherwise')}, tables store arrays in one piece")
        _, _, address, size = _unpack(_CONTIGUOUS, content)
        count = math.prod(shape)
        if size != count * np.dtype(dtype).itemsize:
            raise self._error(f"stores {size} bytes for {count} values")
        values = np.frombuffer(self._file.take(address, size), dtype).reshape(shape)
        return values.astype(np.dtype(dtype).newbyteorder("="))

    def _error(self, what: str) -> LayoutError:
        return LayoutError(what if self.name == "/" else f"{self.name}: {what}")

    def _messages(self, address: int) -> list[tuple[int, memoryview]]:
        """Types and contents of the header's messages that mean something."""
        version, _, count, _, size, _ = self._file.unpack(_OBJECT_HEADER, address)
        if version != 1 or count > MOST_MESSAGES:
            raise self._error(f"has an object header of version {version} with {count} messages, not as tables have")
        blocks, found = [self._file.take(address + _OBJECT_HEADER.size, size)], []
        for block in blocks:  # which grows by each continuation; `count` ends even a circle of them
            at = 0
            while count and at + _MESSAGE.size <= len(block):
                kind, size, flags = _unpack(_MESSAGE, block, at)
                content = block[at + _MESSAGE.size :][:size]
                at += _MESSAGE.size + size
                count -= 1
                if kind in _IGNORED:
                    continue
                if kind not in _KNOWN:
                    raise self._error(_REFUSED.get(kind, f"has an object header message of type {kind}"))
                if flags & 2 or len(content) < size:
                    raise self._error("has a shared or cut object header message")
                if kind == _CONTINUATION:
                    blocks.append(self._file.take(*_unpack(_PAIR, content)))
                else:
                    found.append((kind, content))
        if count:
            raise self._error(f"lacks {count} messages of its object header")
        return found

    def _shape(self) -> tuple[int, ...]:
        content = self._single[_DATASPACE]
        version, rank, flags = _unpack(_SPACE, content)
        if (version, flags) not in ((1, 0), (1, 1)):
            raise self._error("shape is not described as tables do")
        sizes = _unpack(Struct(f"<{rank * (1 + flags)}Q"), content, _SPACE.size)
        shape, largest = sizes[:rank], sizes[rank:]
        if largest not in ((), shape):
            raise self._error(f"shape {shape} may grow to {largest}")
        return shape

    def _members(self) -> dict[str, tuple[int, int]]:
        """Where each child's object header is, and its link's cache type."""
        if self._links is None:
            if self._single.keys() != _OF_GROUP:
                raise self._error("is a Dataset or something else, not a Group")
            tree, heap = _unpack(_PAIR, self._single[_SYMBOL_TABLE])
            self._links = self._symbols(tree, self._names(heap))
        return self._links

    def _names(self, heap: int) -> memoryview:
        signature, version, size, _, address = self._file.unpack(_LOCAL_HEAP, heap)
        if signature != b"HEAP" or version != 0:
            raise self._error("has no local heap for the names of its members")
        return self._file.take(address, size)

    def _symbols(self, tree: int, names: memoryview) -> dict[str, tuple[int, int]]:
        signature, kind, level, nodes, *siblings = self._file.unpack(_BTREE, tree)
        if (signature, kind, level) != (b"TREE", 0, 0) or siblings != [_UNDEFINED] * 2 or nodes > MOST_NODES:
            raise self._error("has no B-tree of its members as tables have: one node")
        found: list[tuple[bytes, tuple[int, int]]] = []
        for number in range(nodes):
            _, node = self._file.unpack(_PAIR, tree + _BTREE.size + _PAIR.size * number)  # key, child
            signature, version, symbols = self._file.unpack(_SYMBOLS, node)
            if (signature, version) != (b"SNOD", 1) or symbols > MOST_SYMBOLS:
                raise self._error("has no symbol table node of its members")
            for entry in range(symbols):
                offset, address, cache_type = self._file.unpack(_ENTRY, node + _SYMBOLS.size + _ENTRY.size * entry)
                name, end, _ = bytes(names[offset:][: LONGEST_NAME + 1]).partition(b"\0")
                if not end or (found and not found[-1][0] < name):
                    raise self._error("has members without a name, or not in order")
                found.append((name, (address, cache_type)))
        return {name.decode(errors="backslashreplace"): place for name, place in found}

    def _text(self, name: str, length: int, collection: int, index: int) -> str:
        """One text of the global heap."""
        if length == 0:
            return ""
        signature, version, size = self._file.unpack(_COLLECTION, collection)
        if length > MOST_TEXT or size > MOST_HEAP:
            raise self._error(f"attribute {name!r} is longer than {MOST_TEXT} bytes, or its heap than {MOST_HEAP}")
        heap = self._file.take(collection, size)
        at = _COLLECTION.size if (signature, version) == (b"GCOL", 1) else size
        while at + _HEAP_OBJECT.size <= size:
            found, stored = _unpack(_HEAP_OBJECT, heap, at)
            at += _HEAP_OBJECT.size
            if found == index != 0 and stored == length <= size - at:
                text = bytes(heap[at : at + length])
                if b"\0" not in text:
                    return text.decode()
                break
            if found == 0:
                break
            at += _padded(stored)
        raise self._error(f"attribute {name!r} has no text in the global heap at byte {collection}")


def root(body: bytearray | bytes) -> Item:
    """The root group of a file.

    Args:
        body: all that follows the user block of `schema.USER_BLOCK` bytes.

    Raises:
        LayoutError: here and from every method of `Item`, for whatever tables do not use. So does UnicodeDecodeError,
            a ValueError too, for text that is not UTF-8.
    """
    file = _Bytes(memoryview(body).toreadonly())
    signature, begins, base, _, end, _, entry = file.unpack(_SUPERBLOCK, 0)
    if signature != b"\x89HDF\r\n\x1a\n" or begins != _SUPERBLOCK_BEGINS:
        raise LayoutError("is not readable as HDF5: no superblock of version 0 follows the header")
    if base != schema.USER_BLOCK or end != schema.USER_BLOCK + len(body):
        raise LayoutError(f"is not readable as HDF5: its superblock is of {end} bytes from {base} on")
    return Item(file, _ENTRY.unpack(entry)[1], "/")


def _unpack(form: Struct, content: memoryview, at: int = 0) -> tuple[Any, ...]:
    if at + form.size > len(content):
        raise LayoutError(f"is not readable as HDF5: a structure at byte {at} of {len(content)} has {form.size} bytes")
    return form.unpack_from(content, at)


def _attribute_name(content: memoryview) -> str:
    version, size, _, _ = _unpack(_ATTRIBUTE, content)
    begin = _ATTRIBUTE.size + (version == 3)  # whose name may be Unicode
    return bytes(content[begin:][:size]).partition(b"\0")[0].decode(errors="backslashreplace")


def _padded(size: int) -> int:
    return -(-size // 8) * 8
