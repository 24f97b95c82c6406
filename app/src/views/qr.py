"""A link for a camera to read (ISO/IEC 18004)."""

import io

import segno

PIXELS = 5
"""Of one module. The picture is shown as large as it is: at another size some modules would be wider than others."""

QUIET = 4
"""Modules of white around it: what the standard asks for, and many readers need."""


def qr_png(text: str) -> bytes:
    """Black on white, whatever the light of the page: not every reader takes the reverse."""
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(drawn, kind="png", scale=PIXELS, border=QUIET)
    return drawn.getvalue()
