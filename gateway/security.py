"""How a client says who it is, for OpenAPI; the services themselves read and judge the token."""

from typing import Any

from fastapi import Security
from fastapi.security import HTTPBearer

signed_in = Security(
    HTTPBearer(bearerFormat="JWT", auto_error=False, description="The access token of a login, or an API key.")
)

ALSO_ANONYMOUS: dict[str, Any] = {"security": [{}]}
"""`openapi_extra` of a route that has an answer for who sends no token, too."""
