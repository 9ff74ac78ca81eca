"""The errors tanhlut raises on its own account.

ValueError
└── TableError        a table file that cannot be read or must not be trusted
ImportError
└── MissingExtraError an optional part is not installed

Everything else is Python's own: ValueError for a value out of range, TypeError for a wrong kind.
"""

from importlib import import_module
from types import ModuleType


class TableError(ValueError):
    """A table file that is missing, unreadable, damaged or untrustworthy; names file, field and remedy."""


class MissingExtraError(ImportError):
    """An optional dependency is missing; names the extra to install."""


def require(module: str, extra: str) -> ModuleType:
    """Import ``module``, or say which extra of tanhlut brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(f"{package} is not installed: pip install 'tanhlut[{extra}]'") from error
