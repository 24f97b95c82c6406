"""What people do with the client, in a real browser."""

from pathlib import Path

STORIES = Path(__file__).parent
