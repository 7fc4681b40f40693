"""Whether a Ray cluster that was joined lets anyone in. Ray is not imported here: its version is passed in."""

from __future__ import annotations

from collections.abc import Mapping

FIRST_WITH_TOKENS = (2, 52)
"""The first Ray release that can ask for a token."""
MODE = "RAY_AUTH_MODE"


def open_cluster_warning(address: str, ray_version: str, environment: Mapping[str, str]) -> str | None:
    """Return one line if the cluster joined at `address` asks for no token, else None.

    To be asked after `ray.init` has joined: Ray then has `RAY_AUTH_MODE` in the environment if it shows a token. A
    cluster that let this process in without one lets everyone in. One that was shown a token may not have asked for it:
    that cannot be told from here, and there is no warning.
    """
    if _release(ray_version) < FIRST_WITH_TOKENS:
        reason = f"Ray {ray_version} knows no authentication: upgrade to 2.52 or newer"
    elif environment.get(MODE, "").lower() != "token":
        reason = f"create a token, set {MODE}=token on every machine and start Ray again"
    else:
        return None
    return (
        f"warning: the Ray cluster at {address} is open: whoever reaches its ports can run programs as you; {reason} "
        "(docs/on-my-cluster.md, Tokens)"
    )


def no_answer(environment: Mapping[str, str]) -> str:
    """Return what to add where no cluster answered: one that asks for a token is silent to who shows none."""
    if environment.get(MODE, "").lower() == "token":
        return ""
    return f"; one that asks for a token answers only with {MODE}=token"


def _release(version: str) -> tuple[int, int]:
    """Return major and minor of a version; a form that is not known counts as new."""
    numbers = version.split(".")[:2]
    if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        return FIRST_WITH_TOKENS
    return int(numbers[0]), int(numbers[1])
