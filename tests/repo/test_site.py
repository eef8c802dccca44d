"""The documentation as a site: it is built, it fetches nothing from outside, and broken links are found."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from scripts.documents.site import broken, place_of, slug, target_of
from tests.repo.house import Repository

FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]+src=["']?(?:https?:)?//|<link[^>]+rel=["']?(?:stylesheet|preconnect|preload)[^>]+"""
    r"""href=["']?(?:https?:)?//|url\(["']?(?:https?:)?//|@import\s+["'](?:https?:)?//"""
)
"""What a browser would fetch from another host. A link that a reader may follow is none."""
LINK = re.compile(r"""\b(?:href|src)=(?:"([^"]*)"|([^\s>"']+))""")
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|//")
ENVIRONMENT = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}


def build(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "mkdocs", "build", "--strict", *arguments),
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_the_site_is_built_and_fetches_nothing(repository: Repository, tmp_path: Path) -> None:
    """Every link and anchor between all pages leads somewhere, and no page loads anything from another host."""
    done = build("--site-dir", str(tmp_path), cwd=repository.root)
    assert done.returncode == 0, done.stderr[-4000:]
    assert (tmp_path / "index.html").is_file()
    assert (tmp_path / "repository/services/payouts/index.html").is_file()
    pages = [path for path in tmp_path.rglob("*") if path.suffix in {".html", ".css"}]
    assert [str(path.relative_to(tmp_path)) for path in pages if FETCHED.search(path.read_text())] == []
    assert not_on_disk(tmp_path) == set()


def not_on_disk(site: Path) -> set[str]:
    """The links of pages that lead to no file. A browser that reads the site from disk shows no page for a folder. The page 404.html is
    for servers only.
    """
    found = set()
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for quoted, bare in LINK.findall(page.read_text()):
            path = unquote((quoted or bare).partition("#")[0].partition("?")[0])
            if path and not OUTSIDE.match(path) and not (page.parent / path).is_file():
                found.add(f"{page.relative_to(site)}: {path}")
    return found


def test_a_link_to_a_folder_is_found(tmp_path: Path) -> None:
    """It works over a server only, as does one that begins at the server's root."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below/index.html").write_text('<a href="../index.html#x">up</a>')
    (tmp_path / "index.html").write_text(
        '<a href=below/index.html>right</a><a href="below/">folder</a><a href=/x.html>root</a><a href="#y">here</a>'
        '<a href="https://www.rfc-editor.org/">outside</a><img src="none.png">'
    )
    assert not_on_disk(tmp_path) == {"index.html: below/", "index.html: /x.html", "index.html: none.png"}


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/x.js">',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        "@import 'https://fonts.example/css'",
        "src: url(//fonts.example/a.woff2)",
    ],
    ids=["script", "stylesheet", "import", "font"],
)
def test_what_a_browser_fetches_is_found(text: str) -> None:
    """The expression of the test above matches each way to load something."""
    assert FETCHED.search(text)
    assert not FETCHED.search('<a href="https://www.rfc-editor.org/rfc/rfc9457">RFC 9457</a>')


def test_broken_links_anchors_and_pages_without_a_place_fail(repository: Repository, tmp_path: Path) -> None:
    """The site's own settings find a link to no page, a link to no heading, and a page that the navigation lacks."""
    settings = yaml.safe_load((repository.root / "mkdocs.yml").read_text())
    del settings["hooks"]
    settings["nav"] = ["index.md", "second.md"]
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# One\n\n[no page](none.md) and [no heading](second.md#none)\n")
    (docs / "second.md").write_text("# Two\n\n[right](index.md#one)\n")
    (docs / "third.md").write_text("# Three\n")
    done = build(cwd=tmp_path)
    assert done.returncode != 0
    for fault in ("'none.md'", "'second.md#none'", "third.md"):
        assert fault in done.stderr
    assert "index.md#one" not in done.stderr


def test_links_between_all_files_are_looked_at(repository: Repository) -> None:
    """A link out of docs, into docs, to a folder with a README, or to another file; links in code are none."""
    good = (
        "[a](../README.md) [b](../services/payouts) [c](../.env.example) [d](https://example.com) [e](#here)"
    )
    code = "```md\n[f](none.md)\n```\n"
    assert broken({"docs/page.md": f"{good}\n{code}"}) == []
    assert broken({"docs/page.md": "[f](none.md#x)", "README.md": "[g](docs/none.md)"}) == [
        "docs/page.md: none.md",
        "README.md: docs/none.md",
    ]
    assert target_of("docs/trust.md", "../services/signer") == "services/signer/README.md"
    texts = {repository.short(path): path.read_text() for path in repository.files if path.suffix == ".md"}
    assert broken(texts) == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("docs/how-to/README.md", "how-to/README.md"),
        ("services/payouts/README.md", "repository/services/payouts/README.md"),
        ("README.md", "repository/README.md"),
        (".env.example", "files/env.example.txt"),
    ],
)
def test_each_file_has_a_place_in_the_site(name: str, place: str) -> None:
    """Pages of docs are at the top, other pages and files below folders of their own."""
    assert place_of(name) == place


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Words to use in code", "words-to-use-in-code"),
        ("4. The player requests a payout", "4-the-player-requests-a-payout"),
        ("GET /api/rounds/{round_id}", "get-apiroundsround_id"),
        ("Checks — and why", "checks--and-why"),
    ],
)
def test_anchors_are_those_of_a_forge(heading: str, anchor: str) -> None:
    """GitHub makes anchors so: lower case, no punctuation, each space a hyphen."""
    assert slug(heading, "-") == anchor
