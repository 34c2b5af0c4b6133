"""The cameras that a checkpoint's policy sees, read without torch, which takes seconds to come."""

import json
from pathlib import Path

from aloha_stack.policies.policy import PolicyError


def seen_cameras(folder: str | Path) -> tuple[str, ...]:
    """From config.json; empty for a policy that sees nothing. Raises PolicyError, which names the
    file, where it does not say."""
    file = Path(folder).expanduser() / "config.json"
    try:
        names = json.loads(file.read_text(encoding="utf-8"))["spec"]["cameras"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PolicyError(
            f"{file} does not say which cameras the policy sees: {error!r}"
        ) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise PolicyError(f"{file}: cameras: expected a list of names, found {names!r}")
    return tuple(names)
