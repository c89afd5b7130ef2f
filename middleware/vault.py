"""Payloads at rest: AES-256-GCM with the key's id in front, bound to what they belong to, keys newest first."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from middleware.errors import SettingsError, WaybillError
from middleware.secret import Secret

_ID = 4
_NONCE = 12


class VaultError(WaybillError):
    """A stored payload cannot be opened: its key is gone or it belongs to something else."""

    code = "vault"


class Vault:
    """Seals and opens bytes. Layout: 4 bytes key id, 12 bytes nonce, ciphertext with tag."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        """`keys` are base64 of 32 bytes each, newest first; raises `SettingsError` when one is not."""
        if not keys:
            raise SettingsError(["keys: missing; expected at least one reference to base64 of 32 bytes (make one: waybill init)"])
        decoded = [_decode(secret) for secret in keys]
        self._ciphers = {hashlib.sha256(raw).digest()[:_ID]: AESGCM(raw) for raw in decoded}
        self._newest = hashlib.sha256(decoded[0]).digest()[:_ID]
        self._seal = self._ciphers[self._newest].encrypt

    def seal(self, plain: bytes, *belongs_to: str) -> bytes:
        """Encrypt with the newest key; `belongs_to` is bound as associated data and must be given again to open."""
        nonce = os.urandom(_NONCE)
        return self._newest + nonce + self._seal(nonce, plain, "\0".join(belongs_to).encode())

    def open(self, sealed: bytes, *belongs_to: str) -> bytes:
        """Decrypt; raises `VaultError`."""
        cipher = self._ciphers.get(sealed[:_ID])
        if cipher is None:
            raise VaultError(f"no key with id {sealed[:_ID].hex()} is configured")
        try:
            return cipher.decrypt(sealed[_ID : _ID + _NONCE], sealed[_ID + _NONCE :], "\0".join(belongs_to).encode())
        except InvalidTag:
            raise VaultError("the stored payload does not belong here or was changed") from None


def new_key() -> str:
    """A fresh key in the form that the configuration expects."""
    return base64.b64encode(AESGCM.generate_key(256)).decode()


def _decode(secret: Secret) -> bytes:
    try:
        raw = base64.b64decode(secret.reveal(), validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise SettingsError([f"{secret.source}: keys: expected base64 of 32 bytes"])
    return raw
