"""What stories begin with."""

from uuid import uuid4

from tests.app.stories.browser import Screen
from texts.words import Words

PASSWORD = "correct horse battery"


def register(shown: Screen, say: Words) -> str:
    """Somebody new, at work. Returns the name."""
    name = f"user-{uuid4().hex[:12]}"
    shown.open()
    shown.press(say.to_register)
    shown.sees(say.create_account)
    shown.sees(say.to_sign_in)
    shown.type(say.username, name)
    shown.type(say.email, f"{name}@example.com")
    shown.type(say.password, PASSWORD)
    shown.press(say.create_account)
    shown.sees(say.generate)
    return name
