"""Signing keys: which files are keys, which of them signs, and every key that is too weak or no key at all."""

import os
import stat
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from service.keyring import SigningKey, read_keys, signing_key, thumbprint, write_key

_ED25519 = Ed25519PrivateKey.generate()
_RSA = rsa.generate_private_key(65537, 2048)


def _pem(key: PrivateKeyTypes, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def _public_pem() -> bytes:
    return _ED25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


BAD_KEYS: dict[str, tuple[Callable[[], bytes], str]] = {
    "small-rsa": (lambda: _pem(rsa.generate_private_key(65537, 1024)), "RSA key of 1024 bits"),
    "almost-rsa": (lambda: _pem(rsa.generate_private_key(65537, 2047)), "RSA key of 2047 bits"),
    "ec": (lambda: _pem(ec.generate_private_key(ec.SECP256R1())), "neither an Ed25519 nor an RSA key"),
    "ed448": (lambda: _pem(ed448.Ed448PrivateKey.generate()), "neither an Ed25519 nor an RSA key"),
    "dsa": (lambda: _pem(dsa.generate_private_key(1024)), "neither an Ed25519 nor an RSA key"),
    "encrypted": (lambda: _pem(_ED25519, BestAvailableEncryption(b"canary")), "is encrypted"),
    "public": (_public_pem, "holds no private key"),
    "der": (lambda: _ED25519.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "holds no private key"),
    "truncated": (lambda: _pem(_RSA)[:-40], "holds no private key"),
    "text": (lambda: b"canary", "holds no private key"),
    "empty": (lambda: b"", "holds no private key"),
    "20261322T093000Z-key": (lambda: _pem(_ED25519), "a time that never comes"),
}


def _refusal(folder: Path) -> str:
    with pytest.raises(ValueError, match="'") as refused:
        read_keys(folder)
    return str(refused.value)


def _key(signs_from: float) -> SigningKey:
    return SigningKey.of(Ed25519PrivateKey.generate(), signs_from)


def test_a_thumbprint_is_that_of_the_standards() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    rfc_7638 = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(rfc_7638) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    rfc_8037 = Ed25519PrivateKey.from_private_bytes(urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
    assert SigningKey.of(rfc_8037, 0).jwk == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "use": "sig",
        "alg": "EdDSA",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    }


def test_an_rsa_key_is_shown_by_its_public_half_alone() -> None:
    jwk = SigningKey.of(_RSA, 0).jwk
    assert jwk.keys() == {"kty", "n", "e", "use", "alg", "kid"}
    assert (jwk["kty"], jwk["use"], jwk["alg"]) == ("RSA", "sig", "RS256")


def test_the_newest_key_whose_time_has_come_signs() -> None:
    old, new, future = keys = [_key(100), _key(200), _key(300)]
    assert [signing_key(keys, now) for now in (100, 199.9, 200, 299.9, 300, 1e12)] == [
        old,
        old,
        new,
        new,
        future,
        future,
    ]


def test_while_no_time_has_come_no_key_signs() -> None:
    assert signing_key([_key(100), _key(200)], 99.9) is None
    assert signing_key([], 99.9) is None


def test_a_key_signs_from_the_time_in_its_name_or_else_from_its_files_last_change(tmp_path: Path) -> None:
    for name, changed_at in (
        ("20261122T093000Z-named.pem", 1),
        ("20261122T093000.500000Z.pem", 1),
        ("19700101T000000Z-oldest.pem", 7e8),
        ("plain.pem", 1e9),
        ("2026-11-22-plain.pem", 2e9),
    ):
        (tmp_path / name).write_bytes(_pem(Ed25519PrivateKey.generate()))
        os.utime(tmp_path / name, (changed_at, changed_at))
    moment = datetime(2026, 11, 22, 9, 30, tzinfo=UTC).timestamp()
    assert [key.signs_from for key in read_keys(tmp_path)] == [0, 1e9, moment, moment + 0.5, 2e9]


def test_keys_of_one_time_are_in_the_same_order_everywhere(tmp_path: Path) -> None:
    pems = [_pem(Ed25519PrivateKey.generate()) for _ in range(5)]
    orders = set()
    for names in ("abcde", "edcba"):
        folder = tmp_path / names
        folder.mkdir()
        for name, pem in zip(names, pems, strict=True):
            (folder / f"20261122T093000Z-{name}.pem").write_bytes(pem)
        orders.add(tuple(key.id for key in read_keys(folder)))
    assert len(orders) == 1


def test_a_key_in_two_files_is_one_key_from_its_earlier_time(tmp_path: Path) -> None:
    for name in ("20270101T000000Z-copy.pem", "20261122T093000Z-key.pem"):
        (tmp_path / name).write_bytes(_pem(_RSA))
    (key,) = read_keys(tmp_path)
    assert (key.id, key.algorithm) == (SigningKey.of(_RSA, 0).id, "RS256")
    assert key.signs_from == datetime(2026, 11, 22, 9, 30, tzinfo=UTC).timestamp()


def test_what_is_no_pem_or_is_hidden_is_left_alone(tmp_path: Path) -> None:
    for name in ("README.md", "key.pem.old", ".hidden.pem", ".pem"):
        (tmp_path / name).write_text("no key")
    # As Kubernetes mounts a secret: the files are links into a hidden folder.
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "key.pem").write_bytes(_pem(_ED25519))
    (tmp_path / "key.pem").symlink_to("..2026/key.pem")
    assert [key.id for key in read_keys(tmp_path)] == [SigningKey.of(_ED25519, 0).id]


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_bad_key_is_refused_by_name_with_its_reason(tmp_path: Path, name: str) -> None:
    content, reason = BAD_KEYS[name]
    (tmp_path / f"{name}.pem").write_bytes(content())
    said = _refusal(tmp_path)
    assert said.startswith(f"'{name}.pem' ")
    assert reason in said
    assert "canary" not in said


def test_every_fault_is_told_at_once_and_one_bad_key_is_enough(tmp_path: Path) -> None:
    for name in ("text", "ec"):
        (tmp_path / f"{name}.pem").write_bytes(BAD_KEYS[name][0]())
    (tmp_path / "folder.pem").mkdir()
    (tmp_path / "nowhere.pem").symlink_to("nothing")
    (tmp_path / "good.pem").write_bytes(_pem(_ED25519))
    said = _refusal(tmp_path)
    assert all(f"'{name}.pem' " in said for name in ("text", "ec", "folder", "nowhere"))
    assert "good" not in said


def test_a_folder_without_keys_is_refused(tmp_path: Path) -> None:
    assert "holds no *.pem" in _refusal(tmp_path)
    assert "No such file" in _refusal(tmp_path / "missing")
    (tmp_path / "file").touch()
    assert "Not a directory" in _refusal(tmp_path / "file")


@pytest.mark.parametrize(("kind", "algorithm"), [("ed25519", "EdDSA"), ("rsa", "RS256")])
def test_a_key_that_is_written_is_read_again_and_is_its_owners_alone(tmp_path: Path, kind: str, algorithm: str) -> None:
    folder = tmp_path / "new" / "keys"
    signs_from = datetime.fromtimestamp(time.time() + 60, UTC)
    file, key = write_key(folder, kind, signs_from)  # type: ignore[arg-type]  # one of the two
    assert read_keys(folder) == (key,)
    assert (key.algorithm, key.signs_from) == (algorithm, signs_from.timestamp())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == [file]
    assert key.id[:8] in file.name
    secret = file.read_text().splitlines()[1]
    assert secret not in repr(key)
    assert "PrivateKey" not in repr(key)
