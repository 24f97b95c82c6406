"""What of this folder `make test` leaves out."""

import os

# Three rolling updates, minutes long: `make thorough`.
collect_ignore = [] if os.environ.get("THOROUGH") else ["test_authorities.py"]
