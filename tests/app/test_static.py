"""The static build: complete, the same for the same sources, at home at any path, and it asks no foreign host."""

import gzip
import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from app.static.__main__ import main
from app.static.folder import build
from app.web.files import FALLBACKS, FOREIGN, NOWHERE, SAVING
from tests.app.static_host import headers_for, headers_of

FALLBACK = Path("app/web/fallback")

ANOTHER = "https://images.example.org"


@pytest.fixture(scope="session")
def folder(static_build) -> Path:
    """What a web server serves."""
    return static_build.folder.parents[1]


@pytest.fixture(scope="session")
def another(tmp_path_factory):
    """A build for a gateway elsewhere."""
    return build(tmp_path_factory.mktemp("another"), ANOTHER)


def modules(site) -> dict[str, bytes]:
    with tarfile.open(site.folder / "app.tar.gz") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}


def test_every_file_that_the_first_page_names_is_there(folder):
    page = (folder / "index.html").read_text()
    names = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert len(names) >= 8
    for name in names:
        assert not name.startswith("/"), "the folder may be at any path"
        assert (folder / name).exists()


def test_every_file_that_the_engine_names_is_there(static_build):
    bootstrap = static_build.folder.joinpath("flutter_bootstrap.js").read_text()
    builds = re.findall(r'"main(?:Wasm|Js)Path":"([^"]+)"|"jsSupportRuntimePath":"([^"]+)"', bootstrap)
    fonts = json.loads(static_build.folder.joinpath("assets/FontManifest.json").read_bytes())
    icons = json.loads(static_build.folder.joinpath("manifest.json").read_bytes())["icons"]
    names = [
        *("".join(each) for each in builds),
        *(f"assets/{font['asset']}" for family in fonts for font in family["fonts"]),
        *(icon["src"] for icon in icons),
    ]
    assert len(names) == 6
    assert [name for name in names if not (static_build.folder / name).is_file()] == []


@pytest.mark.parametrize("engine", ["main.dart.js", "main.dart.wasm"])
def test_a_font_lies_under_each_name_that_an_engine_may_ask_for(static_build, engine):
    pattern = FALLBACKS if engine.endswith(".js") else re.compile(rb"(noto\w+/v\d+/[\w-]+(?:\.\d+)?\.woff2)")
    names = {name.decode() for name in pattern.findall(static_build.folder.joinpath(engine).read_bytes())}
    assert len(names) > 700
    fonts = [static_build.folder.joinpath("fallback", name).read_bytes() for name in names]
    assert all(font.startswith(b"wOF2") for font in fonts)
    ours = len(list(FALLBACK.iterdir()))
    assert len(set(fonts)) == ours + 1, "each of ours, and the empty one"


@pytest.mark.parametrize("engine", ["main.dart.js", "main.dart.wasm"])
def test_what_the_engine_would_ask_a_foreign_host_for_is_here(static_build, folder, engine):
    content = static_build.folder.joinpath(engine).read_bytes()
    assert FOREIGN not in content
    (place,) = set(re.findall(re.escape(NOWHERE) + rb"[\w@./-]+/", content))
    assert (folder / place.decode() / "wasm" / "rive_native.js").is_file()


def test_the_page_on_which_a_browser_saves_stays_behind(static_build):
    """The client saves by itself there."""
    assert [name for name in SAVING if (static_build.folder / name).exists()] == []


def test_pyodide_finds_itself_and_no_packages_elsewhere(static_build):
    loader = static_build.folder.joinpath("pyodide/pyodide.mjs").read_text()
    for name in ("pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"):
        assert (static_build.folder / "pyodide" / name).is_file()
        assert name.partition(".wasm")[0] in loader + "pyodide.asm"
    assert json.loads(static_build.folder.joinpath("pyodide/pyodide-lock.json").read_bytes())["packages"] == {}


def test_the_clients_modules_are_packed_as_they_are(static_build):
    packed = modules(static_build)
    assert packed["main.py"] == Path("app/src/main.py").read_bytes()
    assert packed["server.py"] == b"URL = ''\n"
    assert "pyproject.toml" not in packed, "Flet would ask a package index for what it names"
    assert not any(name.endswith((".pyc", ".so")) for name in packed)


def test_the_same_sources_make_the_same_folder_also_in_the_place_of_another_build(folder, another, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(another.folder.parents[1], out)
    main([str(out)])
    assert files_in(out) == files_in(folder)


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_compressed_forms_are_the_same_files(static_build):
    plain = static_build.folder.joinpath("main.dart.mjs")
    assert gzip.decompress(plain.with_name("main.dart.mjs.gz").read_bytes()) == plain.read_bytes()
    assert plain.with_name("main.dart.mjs.br").is_file()


def test_what_the_folder_says_of_headers_allows_no_foreign_host(folder):
    rules = headers_of(folder)
    page, script = headers_for(rules, "/"), headers_for(rules, "/app/version/start.js")
    assert page["Cache-Control"] == "no-cache"
    assert script["Cache-Control"] == "public, max-age=31536000, immutable"
    for headers in (page, script):
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert not re.search(r"https?:|\*", headers["Content-Security-Policy"])
        assert "'unsafe-eval'" not in headers["Content-Security-Policy"]


def test_a_gateway_elsewhere_is_asked_and_allowed(static_build, another):
    assert modules(another)["server.py"] == f"URL = '{ANOTHER}'\n".encode()
    assert another.version != static_build.version
    policy = headers_for(headers_of(another.folder.parents[1]), "/")["Content-Security-Policy"]
    assert f"connect-src 'self' {ANOTHER};" in policy
    assert f"img-src 'self' {ANOTHER} blob:" in policy


@pytest.mark.parametrize(
    "address", ["images.example.org", "ftp://a", "https://a/api", "https://a/", "https://a; *", ""]
)
def test_an_address_that_is_no_origin_is_refused(address, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "out"), "--server", address])
    assert "is not of the form" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "thesis.txt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
