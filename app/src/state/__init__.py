"""What a person's session knows and can do. Views show it and call it; the API layer does its work.

Everything a view shows is an observable; each is small, so that a change renders little anew.
"""
