"""The publication's key, which signs unsubscribe tokens and makes Message-IDs."""

import contextlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from .errors import ConfigError, TryLater


def key_file(project: Path) -> Path:
    """Where the key lies, unless the environment holds it."""
    return project / ".mailer" / "key"


def existing_key(project: Path, secret_env: str, environ: Mapping[str, str]) -> bytes | None:
    """The key, where there is one already: none is made. Raises as `signing_key` does."""
    return signing_key(project, secret_env, environ) if secret_env or key_file(project).exists() else None


def signing_key(project: Path, secret_env: str, environ: Mapping[str, str]) -> bytes:
    """The key of the environment variable `secret_env`; without one .mailer/key, made once, readable by its owner only.

    Raises ConfigError where the environment names none or too short a one.
    """
    if secret_env:
        secret = environ.get(secret_env, "")
        if len(secret) < 16:
            found = "is shorter than 16 characters" if secret else "is not set"
            hint = f"export {secret_env}=…  (the same on every machine; for example from: openssl rand -hex 32)"
            raise ConfigError(f"the environment variable {secret_env} {found}", hint=hint)
        return secret.encode("utf-8", "surrogateescape")
    path = key_file(project)
    try:
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            # Written apart and linked in: two first runs at once end with one and the same key.
            draft = path.with_name(f"key.{os.getpid()}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(secrets.token_hex(32))
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        key = path.read_bytes().strip()
    except OSError as error:
        raise TryLater(f".mailer/key cannot be made or read: {error.strerror}") from None
    if len(key) < 16:
        raise ConfigError(
            ".mailer/key is empty or cut short",
            hint="restore it from a backup: old unsubscribe links need it",
        )
    return key


def fingerprint(key: bytes) -> str:
    """Tells whether two machines have the same key, and nothing of it."""
    return hmac.digest(key, b"fingerprint", "sha256").hex()[:32]
