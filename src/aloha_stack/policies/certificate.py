"""A checkpoint's certificate: what was found when its stability was examined, bound to its hash.

FOLDER/certificate.json: {"format": 1, "subject": SHA-256 of what config.json says (which names that
of the weights), "holds": true, "findings": {...}}. A policy that promises stability is loaded for
rollouts only with one that is of the very same weights and numbers, and says that nothing was
violated. Another weight, another scale: another subject.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aloha_stack.policies.policy import PolicyError

FORMAT = 1
FILE = "certificate.json"
CONFIG = "config.json"


class CertificateError(PolicyError):
    """A policy that needs a certificate has none that holds."""


def subject(folder: str | Path) -> str:
    """What a certificate of this checkpoint folder is bound to."""
    described = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
    text = json.dumps(described, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write(folder: str | Path, findings: Mapping[str, Any], holds: bool) -> Path:
    """Writes the certificate of a checkpoint as it lies there."""
    path = Path(folder) / FILE
    data = {"format": FORMAT, "subject": subject(folder), "holds": holds, "findings": findings}
    new = path.with_name(f".{FILE}.new")
    new.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    new.replace(path)
    return path


def check(folder: str | Path) -> None:
    """Raises CertificateError unless there is one, of this very checkpoint, that holds."""
    path = Path(folder) / FILE
    mend = f"`./aloha analyse stability {folder}` examines it and writes one"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CertificateError(f"{path}: missing, it may not move a robot; {mend}") from None
    except (OSError, ValueError) as error:
        raise CertificateError(f"{path}: damaged ({error}); {mend}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise CertificateError(f"{path}: expected format {FORMAT}; {mend}")
    if data.get("subject") != subject(folder):
        raise CertificateError(f"{path}: it is of other weights or numbers; {mend}")
    if data.get("holds") is not True:
        raise CertificateError(
            f"{path}: something was violated when it was examined: it may not move a robot"
        )
