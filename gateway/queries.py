"""What every query has to keep to, whatever route it is for."""

from collections import Counter

from fastapi import Request
from fastapi.exceptions import RequestValidationError


def unambiguous(request: Request) -> None:
    """Refuses a parameter that is sent several times where one is asked for: whichever was taken, a proxy or a log may
    take the other. Raises RequestValidationError.
    """
    sent = Counter(name for name, _ in request.query_params.multi_items())
    repeated = {name for name, times in sent.items() if times > 1}
    if not repeated:
        return
    operations = request.app.openapi()["paths"].get(request.scope["route"].path_format, {})
    parameters = operations.get(request.method.lower(), {}).get("parameters", ())
    single = {one["name"] for one in parameters if one["in"] == "query" and one["schema"].get("type") != "array"}
    if wrong := sorted(repeated & single):
        raise RequestValidationError(
            [{"type": "repeated", "loc": ("query", name), "msg": "Is given more than once."} for name in wrong]
        )
