"""How a client says who it is, for OpenAPI; the services themselves read and judge the token."""

from fastapi import Security
from fastapi.security import HTTPBearer

signed_in = Security(
    HTTPBearer(bearerFormat="JWT", auto_error=False, description="The access token of a login, or an API key.")
)
