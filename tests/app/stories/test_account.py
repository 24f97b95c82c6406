"""What a person does with the own account: on a phone in Chinese, on a desktop in English."""

import zipfile

from tests.app.stories.browser import DESKTOP, PHONE, Screen, screen
from tests.app.stories.people import PASSWORD, register
from tests.deploy.waiting import wait_until
from texts import WORDS
from texts.words import Words

NEW_PASSWORD = "staple of the battery"

DESK = {"viewport": DESKTOP, "locale": "en-US"}


def sign_in(shown: Screen, say: Words, name: str, password: str) -> None:
    shown.type(say.username_or_email, name)
    shown.type(say.password, password)
    shown.press(say.sign_in)


def test_from_a_device_that_is_not_known_to_the_end_of_the_account(installation, browser):
    say = WORDS["zh"]
    with screen(browser, installation.url, viewport=PHONE, locale="zh-CN") as shown, installation.client() as http:
        name = register(shown, say)
        program = {"username": name, "password": PASSWORD}
        http.post("/api/v1/auth/login", json=program, headers={"User-Agent": "curl/8.5.0"}).raise_for_status()

        shown.press(say.account, "tab")
        shown.press(say.devices)
        stranger = say.end_session.format(device="curl")
        shown.press(stranger)
        shown.sees_no(stranger)
        shown.reads(say.no_others)

        shown.page.go_back()
        shown.press(say.change_password)
        shown.type(say.current_password, "not my password")
        shown.type(say.new_password, NEW_PASSWORD)
        shown.press(say.change_password)
        shown.reads(say.errors["wrong_password"])
        shown.type(say.current_password, PASSWORD)
        shown.page.keyboard.press("Enter")
        shown.reads(say.password_changed)

        shown.press(say.close)
        shown.press(say.delete_account)
        with zipfile.ZipFile(shown.save(say.export).path()) as archive:
            assert "account.json" in archive.namelist()
        shown.type(say.confirm_password, PASSWORD)
        shown.press(say.delete_account_now)
        shown.reads(say.errors["wrong_password"])
        shown.type(say.confirm_password, NEW_PASSWORD)
        shown.press(say.delete_account_now)
        shown.reads(say.farewells["deleted"][0])
        shown.press(say.understood)
        sign_in(shown, say, name, NEW_PASSWORD)
        shown.reads(say.errors["bad_credentials"])


def test_a_key_is_made_copied_and_revoked(installation, browser):
    say = WORDS["en"]
    permissions = ["clipboard-read", "clipboard-write"]
    with screen(browser, installation.url, **DESK, permissions=permissions) as shown, installation.client() as http:
        name = register(shown, say)
        shown.page.goto(f"{installation.url}/#/account/keys")
        shown.sees(say.new_key)
        shown.reload()
        shown.press(say.new_key)
        shown.press(say.scope_names["share"], "checkbox")
        shown.type(say.key_name, "nightly job")
        shown.page.keyboard.press("Enter")
        shown.reads(say.key_once)
        shown.press(say.copy)
        wait_until(lambda: shown.page.evaluate("navigator.clipboard.readText()").startswith("igk_"))
        secret = shown.page.evaluate("navigator.clipboard.readText()")
        headers = {"Authorization": f"Bearer {secret}"}
        assert http.get("/api/v1/auth/me", headers=headers).json()["username"] == name

        shown.press(say.key_taken)
        revoke = say.revoke_key.format(name="nightly job")
        shown.press(revoke)
        shown.press(say.revoke)
        shown.sees_no(revoke)
        shown.reads(say.key_revoked.format(when=say.just_now))


def test_a_browser_that_is_signed_out_from_another_one_says_so(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, **DESK) as here, screen(browser, installation.url, **DESK) as there:
        name = register(there, say)
        here.open()
        sign_in(here, say, name, PASSWORD)
        here.sees(say.generate)
        here.press(say.account)
        here.press(say.devices)
        here.press(say.end_others)
        here.reads(say.no_others)
        there.press(say.account)
        there.reads(say.farewells["ended"][0])
        there.press(say.understood)
        there.sees(say.sign_in)
