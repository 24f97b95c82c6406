"""What signed in, as people call it, by what it says of itself in `User-Agent` (RFC 9110 §10.1.5).

Browsers name each other there for compatibility, so the one that is named by fewest comes first.
"""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["phone", "tablet", "computer", "program", "unknown"]

BROWSERS = (
    ("MicroMessenger/", "WeChat"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("YaBrowser/", "Yandex"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("UCBrowser/", "UC Browser"),
    ("MQQBrowser/", "QQ Browser"),
    ("QQBrowser/", "QQ Browser"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS: tuple[tuple[str, str, Kind], ...] = (
    ("iPhone", "iPhone", "phone"),
    ("iPad", "iPad", "tablet"),
    ("OpenHarmony", "HarmonyOS", "phone"),
    ("HarmonyOS", "HarmonyOS", "phone"),
    ("Android", "Android", "phone"),
    ("Windows", "Windows", "computer"),
    ("CrOS", "ChromeOS", "computer"),
    ("Macintosh", "macOS", "computer"),
    ("Linux", "Linux", "computer"),
)


@dataclass(frozen=True)
class Device:
    """Attributes:
    name: of the browser or the program; empty: it did not say.
    system: what a browser runs on; empty: it did not say.
    """

    kind: Kind
    name: str
    system: str = ""


def device_of(user_agent: str) -> Device:
    browser = next((name for sign, name in BROWSERS if sign in user_agent), "")
    if browser:
        for sign, system, kind in SYSTEMS:
            if sign in user_agent:
                return Device(kind, browser, system)
        return Device("computer", browser)
    program = re.match(r"[^\s/(]+", user_agent)
    return Device("program", program[0]) if program else Device("unknown", "")
