"""The passwords that guessers try first.

`common_passwords.txt` has, the most common first, the 11,611 passwords of at least eight characters among the 30,000
of zxcvbn (Dropbox, MIT licence; the file `frequency_lists.py` of its Python port 4.5.0), which were counted in the
ten million that Mark Burnett published in 2015 and in later leaks. All are in lower case, one a line.
"""

from functools import cache
from pathlib import Path


@cache
def common_passwords() -> frozenset[str]:
    """Folded, as `judge_password` compares."""
    return frozenset(Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8").splitlines())
