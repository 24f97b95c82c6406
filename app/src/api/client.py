"""Every call that the client makes, by the name of what it does."""

from collections.abc import AsyncIterator
from dataclasses import asdict

from api.accounts import Accounts
from api.api_keys import ApiKeys
from api.connection import Connection
from api.decoding import decode
from api.events import Event, follow
from api.operations import Operations
from api.pictures import Pictures
from api.resources import History, Model, Recipe, Suggestion, Task, Tokens, User
from api.shares import Shares
from api.sign_ins import SignIns

AUTH = "/api/v1/auth"
GENERATION = "/api/v1/generation"
PAGE_SIZE = 24


class Client:
    """Every method may raise what `Connection.call` does."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.accounts = Accounts(connection)
        self.api_keys = ApiKeys(connection)
        self.operations = Operations(connection)
        self.pictures = Pictures(connection)
        self.shares = Shares(connection)
        self.sign_ins = SignIns(connection)

    async def register(self, username: str, email: str, password: str) -> User:
        """Creates an account; it does not sign in."""
        body = {"username": username, "email": email, "password": password}
        return decode(User, await self.connection.anonymous("POST", f"{AUTH}/register", body))

    async def login(self, username: str, password: str) -> None:
        """Signs in; `username` may be the e-mail address."""
        body = {"username": username, "password": password}
        await self.connection.keep(decode(Tokens, await self.connection.anonymous("POST", f"{AUTH}/login", body)))

    async def logout(self) -> None:
        """Signs out here at once, whatever the server says to it then."""
        tokens = self.connection.tokens
        await self.connection.keep(None)
        if tokens is not None:
            await self.connection.anonymous("POST", f"{AUTH}/logout", {"refresh_token": tokens.refresh_token})

    async def me(self) -> User:
        return decode(User, await self.connection.call("GET", f"{AUTH}/me"))

    async def models(self) -> list[Model]:
        return decode(list[Model], (await self.connection.call("GET", "/api/v1/models"))["models"])

    async def suggestions(self, text: str, limit: int = 6) -> list[Suggestion]:
        """Completions of what has been typed; each is a whole prompt."""
        query: dict[str, str | int | list[str]] = {"q": text, "limit": limit}
        answer = await self.connection.call("GET", f"{GENERATION}/suggestions", query=query)
        return decode(list[Suggestion], answer["suggestions"])

    async def generate(self, recipe: Recipe, key: str) -> Task:
        """Asks for pictures. A repeat with the same key is answered with the task of the first."""
        body = {name: value for name, value in asdict(recipe).items() if value is not None}
        headers = {"Idempotency-Key": key}
        return decode(Task, await self.connection.call("POST", f"{GENERATION}/generate", body=body, headers=headers))

    async def task(self, task_id: str) -> Task:
        return decode(Task, await self.connection.call("GET", f"{GENERATION}/tasks/{task_id}"))

    async def cancel(self, task_id: str) -> Task:
        return decode(Task, await self.connection.call("POST", f"{GENERATION}/tasks/{task_id}/cancel"))

    def events(self) -> AsyncIterator[Event]:
        """What happens to all of the person's tasks, over lost connections and restarts."""
        return follow(self.connection, f"{GENERATION}/events")

    async def history(self, *statuses: str, cursor: str | None = None, limit: int = PAGE_SIZE) -> History:
        """The person's tasks in these states, newest first; of every state if none is named."""
        query: dict[str, str | int | list[str]] = {"limit": limit, "status": list(statuses)}
        if cursor:
            query["cursor"] = cursor
        return decode(History, await self.connection.call("GET", f"{GENERATION}/history", query=query))
