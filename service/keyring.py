"""Signing keys: a folder of private keys in PEM, of which the newest signs and all verify.

A key is known to every instance before it signs: it is written with the time from which it does, and read at start. The
time is in the file's name, since what copies and mounts files seldom keeps theirs.
"""

import hashlib
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Self, TypeAlias

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

PrivateKey: TypeAlias = Ed25519PrivateKey | RSAPrivateKey
PublicKey: TypeAlias = Ed25519PublicKey | RSAPublicKey

_MIN_RSA_BITS = 2048  # RFC 7518, section 3.3
_NEW_RSA_BITS = 3072
_TIME = re.compile(r"[0-9]{8}T[0-9]{6}(?:\.[0-9]{1,6})?Z")
# The members that make up a public key, and so its thumbprint (RFC 7638, section 3.2; RFC 8037, section 2).
_REQUIRED_MEMBERS = {"OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs tokens, by one algorithm. Its private half is in no repr.

    Attributes:
        id: its thumbprint, the same wherever the key is read.
        algorithm: "EdDSA" or "RS256".
        private, public: its halves.
        signs_from: when it begins to sign, in seconds since the epoch.
    """

    id: str
    algorithm: str
    private: PrivateKey = field(repr=False, compare=False)
    public: PublicKey = field(repr=False, compare=False)
    signs_from: float

    @classmethod
    def of(cls, private: PrivateKey, signs_from: float) -> Self:
        """Make a signing key of a private key."""
        algorithm = "EdDSA" if isinstance(private, Ed25519PrivateKey) else "RS256"
        public = private.public_key()
        return cls(thumbprint(_jwk(public)), algorithm, private, public, signs_from)

    @property
    def jwk(self) -> dict[str, str]:
        """The public half, as a JWK (RFC 7517, section 4)."""
        return {**_jwk(self.public), "use": "sig", "alg": self.algorithm, "kid": self.id}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of a JWK (RFC 7638), which names the key and follows from it alone."""
    required = {name: jwk[name] for name in _REQUIRED_MEMBERS[jwk["kty"]]}
    digest = hashlib.sha256(orjson.dumps(required, option=orjson.OPT_SORT_KEYS)).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def signing_key(keys: Sequence[SigningKey], now: float) -> SigningKey | None:
    """Return the key that signs: the newest whose time has come, None while none has.

    Args:
        keys: in the order of `read_keys`.
        now: seconds since the epoch.
    """
    return next((key for key in reversed(keys) if key.signs_from <= now), None)


def read_keys(folder: Path) -> tuple[SigningKey, ...]:
    """Read every `*.pem` of a folder, but for hidden files.

    Returns:
        The keys in the order in which they begin to sign, the same on every instance. A key that is there twice counts
        once, from its earlier time.

    Raises:
        ValueError: the folder cannot be read or holds none, or names each file that is no good, with the reason.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix == ".pem" and not file.name.startswith("."))
    except OSError as error:
        raise ValueError(f"{str(folder)!r} cannot be read: {error.strerror}.") from None
    if not files:
        raise ValueError(f"{str(folder)!r} holds no *.pem: `python -m service keys generate` makes one.")
    keys, faults = [], []
    for file in files:
        try:
            keys.append(_read_key(file))
        except ValueError as error:
            faults.append(f"{file.name!r} {error}.")
    if faults:
        raise ValueError(" ".join(faults))
    once: dict[str, SigningKey] = {}
    for key in sorted(keys, key=lambda key: (key.signs_from, key.id)):
        once.setdefault(key.id, key)
    return tuple(once.values())


def write_key(folder: Path, kind: Literal["ed25519", "rsa"], signs_from: datetime) -> tuple[Path, SigningKey]:
    """Make a private key, and write it for its owner alone to read.

    Args:
        folder: where; made if it is missing.
        kind: of the key.
        signs_from: when it begins to sign, in UTC.

    Returns:
        The file, whose name is of this key alone, and the key.

    Raises:
        OSError: it cannot be written.
    """
    private = Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(65537, _NEW_RSA_BITS)
    key = SigningKey.of(private, signs_from.timestamp())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{signs_from:%Y%m%dT%H%M%S.%fZ}-{key.id[:8]}.pem"
    # Hidden until it is whole: who starts meanwhile must not read half a key.
    draft = file.with_name(f".{file.name}")
    with open(draft, "xb", opener=lambda path, flags: os.open(path, flags, mode=0o600)) as new:
        new.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    draft.rename(file)
    return file, key


def _read_key(file: Path) -> SigningKey:
    """Read a key.

    Raises:
        ValueError: what is wrong with the file, to be said after its name.
    """
    try:
        private = load_pem_private_key(file.read_bytes(), password=None)
        changed_at = file.stat().st_mtime
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except TypeError:
        raise ValueError("is encrypted, and a service has no password to open it with") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no private key in PEM (PKCS #8)") from None
    if not isinstance(private, PrivateKey):
        raise ValueError("is neither an Ed25519 nor an RSA key")  # noqa: TRY004 -- it is the file that is wrong
    if isinstance(private, RSAPrivateKey) and private.key_size < _MIN_RSA_BITS:
        raise ValueError(f"is an RSA key of {private.key_size} bits, and {_MIN_RSA_BITS} are the least")
    return SigningKey.of(private, _signs_from(file.name, changed_at))


def _signs_from(name: str, changed_at: float) -> float:
    """Read the time that a file's name begins with; a file whose name begins with none counts from its last change."""
    match = _TIME.match(name)
    try:
        return datetime.fromisoformat(match[0]).timestamp() if match else changed_at
    except ValueError:
        raise ValueError("has a name that begins with a time that never comes") from None


def _jwk(public: PublicKey) -> dict[str, str]:
    jwk = (
        OKPAlgorithm.to_jwk(public, as_dict=True)
        if isinstance(public, Ed25519PublicKey)
        else RSAAlgorithm.to_jwk(public, as_dict=True)
    )
    return {name: jwk[name] for name in _REQUIRED_MEMBERS[jwk["kty"]]}
