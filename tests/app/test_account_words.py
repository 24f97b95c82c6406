"""Devices, sizes and times as people speak of them."""

from datetime import UTC, datetime, timedelta

import pytest

from state.devices import Device, device_of
from texts import WORDS
from texts.sizes import size
from texts.spans import since, until

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

CHROMIUM = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36",
            Device("computer", "Chrome", "Windows"),
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36 Edg/142.0.0.0",
            Device("computer", "Edge", "Windows"),
        ),
        (f"Mozilla/5.0 (Linux; Android 10; K) {CHROMIUM} Mobile Safari/537.36", Device("phone", "Chrome", "Android")),
        (f"{IPHONE} Version/26.0 Mobile/15E148 Safari/604.1", Device("phone", "Safari", "iPhone")),
        (f"{IPHONE} Mobile/15E148 MicroMessenger/8.0.50 NetType/WIFI", Device("phone", "WeChat", "iPhone")),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
            Device("computer", "Firefox", "macOS"),
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Firefox/145.0", Device("computer", "Firefox", "Linux")),
        ("curl/8.5.0", Device("program", "curl")),
        ("python-httpx/0.28.1", Device("program", "python-httpx")),
        ("  ", Device("unknown", "")),
        ("", Device("unknown", "")),
    ],
)
def test_a_device_is_called_as_people_call_it(user_agent, device):
    assert device_of(user_agent) == device


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_940, "9.9 kB"),
        (9_960, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (5 * 10**9, "5.0 GB"),
        (12_345 * 10**12, "12345 TB"),
    ],
)
def test_a_size_is_said_in_a_few_figures(count, said):
    assert size(count) == said


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (-3, "just now", "刚刚"),
        (59, "just now", "刚刚"),
        (300, "5 min ago", "5 分钟前"),
        (7200, "2 h ago", "2 小时前"),
        (47 * 3600, "47 h ago", "47 小时前"),
        (3 * 86400, "3 days ago", "3 天前"),
    ],
)
def test_how_long_ago_is_said_roughly(seconds, english, chinese):
    moment = NOW - timedelta(seconds=seconds)
    assert [since(moment, NOW, WORDS["en"]), since(moment, NOW, WORDS["zh"])] == [english, chinese]


def test_how_soon_is_said_roughly():
    assert until(NOW + timedelta(days=90), NOW, WORDS["en"]) == "in 90 days"
    assert until(NOW + timedelta(minutes=5), NOW, WORDS["zh"]) == "5 分钟后"
