"""The errors tanhlut raises on its own account.

ValueError
└── TableError        a table file that cannot be read or must not be trusted
ImportError
└── MissingExtraError an optional part is not installed

Everything else is Python's own: ValueError for a value out of range, TypeError for a wrong kind.

`plain` is how a message shows text that came from a file or a caller.
"""

from importlib import import_module
from types import ModuleType

LONGEST = 600  # characters of foreign text


def plain(text: object, most: int = LONGEST) -> str:
    """`text` on one line, printable, in at most `most` ≥ 80 characters: of a longer one the middle is left out.

    Files and their names may come from anyone: what they say must not steer a terminal, nor flood it.
    """
    words = str(text)
    begin = _escaped(words[:most])
    if len(words) <= most and len(begin) <= most:
        return begin
    half = (most - 40) // 2
    return f"{begin[:half]} … {len(words):,} characters … {_escaped(words[-most:])[-half:]}"


def _escaped(words: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


class TableError(ValueError):
    """A table file that is missing, unreadable, damaged or untrustworthy; names file, field and remedy.

    Its message is `plain`, whatever the file and its name say.
    """

    def __init__(self, message: str) -> None:
        super().__init__(plain(message))


class MissingExtraError(ImportError):
    """An optional dependency is missing; names the extra to install."""


def require(module: str, extra: str) -> ModuleType:
    """Import ``module``, or say which extra of tanhlut brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(f"{package} is not installed: pip install 'tanhlut[{extra}]'") from error
