"""What the study stands on besides tanhlut; imported before the rest of it, so that a missing package is named."""

from importlib.metadata import version
from importlib.util import find_spec

from tanhlut.errors import MissingExtraError, require

LIBRARIES = ("gymnasium", "mujoco", "stable_baselines3", "torchrl", "tensordict")

for module, extra in (("stable_baselines3", "sb3"), ("torchrl", "torchrl")):
    require(module, extra)


def check(tasks: list[str]) -> None:
    """MissingExtraError if a task wants MuJoCo and there is none."""
    import gymnasium

    for task in tasks:
        if "mujoco" in str(gymnasium.spec(task).entry_point) and find_spec("mujoco") is None:
            raise MissingExtraError(
                f"{task} needs mujoco: pip install 'gymnasium[mujoco]', or give --tasks Pendulum-v1"
            )


def versions() -> dict[str, str]:
    """Of the libraries that are there."""
    return {name: version(name) for name in LIBRARIES if find_spec(name) is not None}
