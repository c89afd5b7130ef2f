"""An SSH connection to a server whose host key is known; any other key is refused before anything is told to it.

https://www.rfc-editor.org/rfc/rfc4251#section-4.1
"""

from __future__ import annotations

import io
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import paramiko

from middleware.errors import Unauthorized
from middleware.secret import Secret

SCHEME = "sftp://"
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_KEY = re.compile(r"(ssh-[a-z0-9-]+|ecdsa-sha2-[a-z0-9-]+) ([A-Za-z0-9+/]+=*)( .*)?")
_KEY_CLASSES: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the folder is, and what the server's host key must be: fingerprints or public keys, one of which must match."""

    user: str
    host: str
    port: int
    path: str
    host_keys: tuple[str, ...]


def address(folder: str, host_keys: Sequence[object]) -> Address:
    """Raises ValueError for what is no address of a folder, and for host keys that are none: without one nobody could tell the
    server from another."""
    try:
        parts = urlsplit(folder)
        port = parts.port or 22
    except ValueError:
        raise ValueError("folder: expected sftp://user@host:port/path") from None
    if not parts.username or not parts.hostname or not parts.path or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("folder: expected sftp://user@host:port/path, and the password among the credentials")
    known = tuple(_known(one) for one in host_keys)
    if not known:
        raise ValueError("host_keys: missing; expected the server's host key or its fingerprint, SHA256:…")
    return Address(unquote(parts.username), parts.hostname, port, unquote(parts.path), known)


def _known(given: object) -> str:
    if isinstance(given, str):
        if _FINGERPRINT.fullmatch(given):
            return given
        if key := _KEY.fullmatch(given.strip()):
            return f"{key[1]} {key[2]}"
    raise ValueError("host_keys: expected lines like `ssh-ed25519 AAAA…` or fingerprints like SHA256:…")


def connected(place: Address, credentials: Mapping[str, Secret], timeout: float) -> paramiko.Transport:
    """A connection that is logged in with the credential private_key (and passphrase), else with password; `timeout` is seconds for
    each step. Raises `Unauthorized` for an unknown host key or a key that cannot be read, and what paramiko raises."""
    transport = paramiko.Transport(socket.create_connection((place.host, place.port), timeout))
    transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = timeout
    try:
        _prefer(transport, place.host_keys)
        transport.start_client(timeout=timeout)
        _recognise(transport.get_remote_server_key(), place.host_keys)
        _log_in(transport, place.user, {name: secret.reveal() for name, secret in credentials.items()})
    except BaseException:
        transport.close()
        raise
    return transport


def _log_in(transport: paramiko.Transport, user: str, given: Mapping[str, str]) -> None:
    if "private_key" in given:
        transport.auth_publickey(user, _private_key(given["private_key"], given.get("passphrase")))
    else:
        transport.auth_password(user, given["password"], fallback=False)
    if not transport.is_authenticated():
        raise Unauthorized("the server wants more than a password or a key", field="password")


def _prefer(transport: paramiko.Transport, host_keys: Sequence[str]) -> None:
    """A server has a key of each kind: ask for the kinds that are known, where they are told."""
    if any(_FINGERPRINT.fullmatch(one) for one in host_keys):
        return
    kinds = {one.partition(" ")[0] for one in host_keys}
    kinds |= {"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in kinds else set()
    options = transport.get_security_options()
    options.key_types = tuple(kind for kind in options.key_types if kind in kinds) or options.key_types


def _recognise(key: paramiko.PKey, host_keys: Sequence[str]) -> None:
    if not {key.fingerprint, f"{key.get_name()} {key.get_base64()}"} & set(host_keys):
        raise Unauthorized(f"the server shows an unknown host key: {key.get_name()} {key.fingerprint}", field="host_keys")


def _private_key(text: str, passphrase: str | None) -> paramiko.PKey:
    for kind in _KEY_CLASSES:
        with suppress(paramiko.SSHException, ValueError, TypeError):
            return kind.from_private_key(io.StringIO(text.strip() + "\n"), passphrase)
    raise Unauthorized("the private key cannot be read: it is none, or its passphrase is missing or wrong", field="private_key")
