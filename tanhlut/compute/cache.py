"""Where compiled kernels are kept between processes: a folder that is whole, or not there.

A folder is named by a digest of all that its content depends on. It is filled under another name, sealed with a digest
of its files, and renamed in one step; the seal is checked before anything in it is used. So nobody reads what another
process has half written, what a full disk cut short or what rotted: such a folder is made anew. What numba keeps are
pickles, which can run any code, so only a folder of one's own counts, in which nobody else can write.

A folder that nobody has used for `KEPT_DAYS` goes when a new one comes.
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

KEPT_DAYS = 30
_SEAL = "seal"
_ROOM = 1 << 20  # bytes that must be free: more than the kernels take
_OURS = re.compile(r"tanhlut-[0-9a-f]{16}(\..*)?")  # the second part: being filled


class Cache:
    """The folder `tanhlut-<digest>` in the first of some places that serves.

    Attributes:
        problems: why places do not serve, as far as they were tried.
    """

    def __init__(self, digest: str, places: Iterable[Path]) -> None:
        self.problems: list[str] = []
        self._name = f"tanhlut-{digest[:16]}"
        self._places = list(places)

    def find(self) -> Path | None:
        """The folder, if there is one that can be used."""
        for place in self._places:
            folder = place / self._name
            if _sound(folder):
                with suppress(OSError):
                    os.utime(folder)
                return folder
        return None

    def begin(self) -> Path | None:
        """An empty folder to fill and `publish`; None where there is no room for one."""
        for place in self._places:
            folder = None
            try:
                place.mkdir(parents=True, exist_ok=True)
                folder = Path(tempfile.mkdtemp(prefix=f"{self._name}.", dir=place))
                if not _private(folder):
                    raise PermissionError(0, "files made there belong to another user, or are open to others")
                (folder / _SEAL).write_bytes(bytes(_ROOM))
            except OSError as error:
                self.problems.append(f"{place}: {error.strerror or error}")
                if folder is not None:
                    remove(folder)
            else:
                return folder
        return None

    def publish(self, folder: Path) -> None:
        """Make a filled folder the one that is found, unless another process was first."""
        target = folder.with_name(self._name)
        try:
            (folder / _SEAL).write_text(_digest(folder))
            if not _sound(target):
                remove(target)
            folder.rename(target)
        except OSError as error:
            if not _sound(target):
                self.problems.append(f"{target}: {error.strerror or error}")
        else:
            _sweep(target.parent)


def remove(path: Path) -> None:
    """Remove a file or folder, as far as it can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _sound(folder: Path) -> bool:
    """Whether it is whole, private, and open to writing, without which numba does not read it either."""
    try:
        usable = _private(folder) and os.access(folder, os.W_OK)
        return usable and (folder / _SEAL).read_bytes() == _digest(folder).encode()
    except OSError:
        return False


def _private(folder: Path) -> bool:
    """Whether it is a folder that belongs to this user and that no other may write to."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return False
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def _digest(folder: Path) -> str:
    """Of the names and bytes of all files in a folder but the seal."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / _SEAL:
            content = path.read_bytes()
            total.update(f"{path.relative_to(folder)}\n{len(content)}\n".encode() + content)
    return total.hexdigest()


def _sweep(place: Path) -> None:
    for folder in place.glob("tanhlut-*"):
        with suppress(OSError):
            unused = time.time() - folder.lstat().st_mtime
            if unused > KEPT_DAYS * 86400 and _OURS.fullmatch(folder.name) and _private(folder):
                remove(folder)
