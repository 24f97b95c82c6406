"""The tab in which a browser saves files by itself."""

import re
from uuid import uuid4

from playwright.sync_api import expect

from tests.app.stories.browser import PHONE, screen
from tests.app.stories.people import register
from texts import WORDS


def test_what_cannot_be_saved_is_told_with_a_way_to_the_reason(installation, browser):
    with screen(browser, installation.url, viewport=PHONE, locale="zh-CN") as shown:
        register(shown, WORDS["zh"])
        base = shown.page.locator("script[data-base]").get_attribute("data-base")
        tab = shown.page.context.new_page()
        tab.goto(f"{installation.url}{base}/save.html#picture/{uuid4()}/png")
        expect(tab.get_by_text("获取失败")).to_be_visible()
        tab.get_by_role("link").click()
        expect(tab).to_have_url(re.compile(r"/problems/result_not_found$"))
        expect(tab.locator("html")).to_have_attribute("lang", "zh")
