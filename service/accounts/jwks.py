"""The public keys, with which other services check access tokens by themselves."""

from typing import Final

from aiohttp import web
from marshmallow.fields import Dict, List

from service.accounts.tokens import TOKENS
from service.http.identity import public
from service.http.operations import Answer, operation
from service.http.replies import reply_json
from service.schemas.fields import Representation, Text, about

routes = web.RouteTableDef()

# Whoever keeps the answer knows a new key after this time, so it signs only later (docs/security.md).
_KEPT: Final = {"Cache-Control": "public, max-age=300"}
_EXAMPLE: Final = {  # RFC 8037, appendix A
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "use": "sig",
    "alg": "EdDSA",
    "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
}


class PublicKeys(Representation):
    """A JWK Set (RFC 7517, section 5)."""

    keys = List(
        Dict(Text(), Text()),
        metadata=about("Each key that signs, has signed or will sign; none where a secret signs (HS256).", [_EXAMPLE]),
    )


_public_keys = PublicKeys()


@routes.get("/.well-known/jwks.json", name="jwks")
@public
@operation(Answer(200, _public_keys, headers=("Cache-Control",)), asks_database=False)
async def get_public_keys(request: web.Request) -> web.Response:
    """Answer with the keys that verify access tokens, as a JWK Set."""
    return reply_json({"keys": request.app[TOKENS].public_keys}, headers=_KEPT)
