"""The client on the web: a process that serves Flutter's files and runs each visitor's session behind `/ws`."""
