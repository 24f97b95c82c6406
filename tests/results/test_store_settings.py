"""What the settings of the store may say, and what is documented of them."""

import re

import pytest

from deploy.local.installation import PROJECT
from services.results.blobs import Blobs, S3Options
from services.results.settings import Settings

STORAGE = (PROJECT / "docs" / "storage.md").read_text(encoding="utf-8")
KEYS_OF_S3 = {"access_key_id": "A" * 20, "secret_access_key": "s" * 40}


@pytest.mark.parametrize(
    ("url", "options", "complaint"),
    [
        ("", {}, "RESULTS_STORE_URL"),
        ("/srv/pictures", {}, "RESULTS_STORE_URL"),
        ("file:pictures", {}, "RESULTS_STORE_URL"),
        ("file://host/pictures", {}, "RESULTS_STORE_URL"),
        ("file:///pictures?x", {}, "RESULTS_STORE_URL"),
        ("memory://pictures", {}, "RESULTS_STORE_URL"),
        ("gs://pictures", {}, "RESULTS_STORE_URL"),
        ("https://pictures.s3.amazonaws.com", {}, "RESULTS_STORE_URL"),
        ("s3://", {}, "no bucket"),
        ("s3:///pictures", {}, "no bucket"),
        ("s3://key:secret@pictures", {}, "no bucket"),
        ("s3://pictures:9000", {}, "no bucket"),
        ("s3://pictures?region=eu-west-1", {}, "RESULTS_STORE_URL"),
        ("file:///pictures", {"endpoint": "https://s3.example"}, "the rest is for s3"),
        ("file:///pictures", KEYS_OF_S3, "the rest is for s3"),
        ("memory:///", {"region": "eu-west-1"}, "the rest is for s3"),
        ("s3://pictures", {"access_key_id": "A" * 20}, "go together"),
        ("s3://pictures", {"secret_access_key": "s" * 40}, "go together"),
        ("s3://pictures", {"endpoint": "s3.example"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "ftp://s3.example"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "https://"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "https://s3.example?x=1"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "https://key:secret@s3.example"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "https://pictures.s3.example"}, "without the bucket"),
        ("s3://pictures", {"endpoint": "http://10.0.0.7:9000"}, "RESULTS_STORE_VIRTUAL_HOSTED"),
        ("s3://pictures", {"endpoint": "http://[fd00::7]:9000"}, "RESULTS_STORE_VIRTUAL_HOSTED"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_the_setting(url, options, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        Blobs.from_url(url, S3Options(**options))

    assert not any(secret in str(caught.value) for secret in ("s" * 40, "key:secret"))


EXAMPLES = re.findall(r"^    # (.*)\n((?:    RESULTS_.*\n)+)", STORAGE, re.MULTILINE)


@pytest.mark.parametrize(("title", "lines"), EXAMPLES, ids=[title.split()[0].strip(",;") for title, _ in EXAMPLES])
def test_the_documented_settings_are_those_that_there_are(monkeypatch, title, lines):
    for name in ("RESULTS_DATABASE_URL", "RESULTS_LISTEN", "RESULTS_SIGNING_KEY", "AUTH_ADDRESS"):
        monkeypatch.setenv(name, "x")
    for name, value in (line.strip().split("=", 1) for line in lines.splitlines()):
        assert name.removeprefix("RESULTS_").lower() in Settings.model_fields
        monkeypatch.setenv(name, value)
    settings = Settings()

    Blobs.from_url(settings.store_url, settings.s3, redirects=settings.store_redirects)


def test_every_setting_of_the_store_is_documented():
    settings = {f"RESULTS_{name.upper()}" for name in Settings.model_fields if name.startswith("store_")}

    assert set(re.findall(r"`(RESULTS_STORE_\w+)`", STORAGE)) == settings
    assert len(EXAMPLES) == 4
