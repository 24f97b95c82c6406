"""What people do with the client, in a real browser."""
