"""Those who must not be let in: tokens that were good once, were made for something else, or by somebody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import sqlalchemy as sa
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.runtime.tokens import AUDIENCE, OPERATOR
from tests.accounts import Account, an_operator
from tests.installation import Installation

USER_SCOPES = ("generate", "read", "share")


@dataclass(frozen=True)
class Stranger:
    """What is sent as the bearer token, empty for none, and the code that every service must answer it with."""

    token: str
    code: str


class Mint:
    """Tokens as only auth could make them: signed with the installation's own key."""

    def __init__(self, installation: Installation) -> None:
        encryption = MultiFernet([Fernet(key) for key in installation.secret("auth_encryption_key").split(",")])
        engine = sa.create_engine(installation.database_url("auth"))
        with engine.connect() as tx:
            newest = (
                "SELECT id, private_key_encrypted FROM signing_keys WHERE retired_at IS NULL ORDER BY created_at DESC"
            )
            kid, encrypted = tx.execute(sa.text(newest)).first()
        engine.dispose()
        self._kid = str(kid)
        self._key = Ed25519PrivateKey.from_private_bytes(encryption.decrypt(bytes(encrypted)))

    def token(
        self,
        user_id: str,
        *,
        audience: str = AUDIENCE,
        expires_in: float = 600,
        key: Ed25519PrivateKey | None = None,
    ) -> str:
        """An operator's, so that nothing but what is wrong with it can be why it is refused; `key` forges it."""
        claims = {
            "iss": "imagegen",
            "aud": audience,
            "sub": user_id,
            "sid": str(uuid4()),
            "role": OPERATOR,
            "exp": datetime.now(UTC) + timedelta(seconds=expires_in),
        }
        return jwt.encode(claims, key or self._key, "EdDSA", headers={"kid": self._kid})


def strangers(installation: Installation) -> Mapping[str, Stranger]:
    """Everybody whom only what needs nobody's token lets in. Those who had an account were operators."""
    mint = Mint(installation)
    somebody = Account(installation)
    unsigned = jwt.encode({"sub": somebody.id, "sid": str(uuid4()), "aud": AUDIENCE, "role": OPERATOR}, None, "none")
    revoked_key = somebody.api_key(USER_SCOPES)
    somebody.revoke(revoked_key.api_key.id)
    logged_out, deleted = an_operator(installation), an_operator(installation)
    key_of_deleted = deleted.api_key([*USER_SCOPES, "admin"])
    logged_out.http.post("/api/v1/auth/logout").raise_for_status()
    deleted.delete()
    return {
        "anonymous": Stranger("", "token_missing"),
        "expired": Stranger(mint.token(somebody.id, expires_in=-1), "token_expired"),
        "wrong audience": Stranger(mint.token(somebody.id, audience="another"), "token_invalid"),
        "forged": Stranger(mint.token(somebody.id, key=Ed25519PrivateKey.generate()), "token_invalid"),
        "unsigned": Stranger(unsigned, "token_invalid"),
        "logged out": Stranger(logged_out.token, "token_revoked"),
        "deleted account": Stranger(deleted.token, "token_revoked"),
        "unknown key": Stranger(f"igk_{'x' * 43}", "token_invalid"),
        "revoked key": Stranger(revoked_key.secret, "token_revoked"),
        "key of a deleted account": Stranger(key_of_deleted.secret, "token_invalid"),
    }
