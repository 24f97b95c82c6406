"""How a download is named: Content-Disposition (RFC 6266), with a name of any language (RFC 8187)."""

import re
import unicodedata
from urllib.parse import quote

ATTR_CHAR = "!#$&+-.^_`|~"
"""What needs no percent-encoding beside letters and digits (RFC 8187 §3.2.1)."""


def attachment(name: str) -> str:
    """The header's value for any name: what is not plain ASCII is encoded, so that nothing can end the header or begin
    another. A client of before 2010 reads `filename`, which has ASCII alone.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    # RFC 6266 appendix D: quotes, escapes and percent signs are read in different ways.
    plain = re.sub(r'[^ -~]|["\\%]', "", plain).strip()
    if not plain.partition(".")[0]:
        plain = f"picture{plain}"
    value = f'attachment; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=ATTR_CHAR, errors='replace')}"
    return value
