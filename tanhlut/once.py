"""What is made once and kept. Torch is asked for nothing until something is made: a file is read without it."""

from collections.abc import Callable


class Once:
    """`once(key, make)`: `make()`, made `tracing.apart` once for each key, and kept as long as this is."""

    def __init__(self) -> None:
        self._made: dict[object, object] = {}

    def __call__(self, key: object, make: Callable[[], object]) -> object:
        if key not in self._made:
            from tanhlut.tracing import apart

            self._made[key] = apart(make)
        return self._made[key]
