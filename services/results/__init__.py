"""Results: the pictures of finished tasks, their bytes, and the links that open them.

Owns the tables `results`, `variants`, `usage`, `retention`, `tombstones`, `orphans`, `shares`, `share_attempts` and
`erased_owners`, and everything below the store's URL. Knows nothing of what a task is, how it came to its pictures, or
who its owner is beyond an id.
"""
