"""Who is next, what it costs them, and when it will have ended."""
