"""What belongs to the person: how the client looks, where they are signed in, their keys, and the way out."""
