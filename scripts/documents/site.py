"""The hook of mkdocs that makes the site whole: see mkdocs.yml.

The Markdown files of the repository outside of docs (READMEs, CONTRIBUTING) become pages below ``repository/``. Other files that
a page links to become files of the site. Links between all of them are rewritten, and a link that leads nowhere is an error.
"""

import logging
import posixpath
import re
import subprocess
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[2]
BELOW: Final = "repository"
"""Where the pages of files outside of docs are."""
RAW: Final = "files"
"""Where other files of the repository are that a page links to."""
_DOCS: Final = "docs"
_LINK: Final = re.compile(r"(?P<before>!?\[[^\]]*\]\()(?P<target>[^)\s]+)(?P<after>[^)]*\))")
_OUTSIDE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|//")
_FENCE: Final = re.compile(r"^ *```.*?^ *```[^\n]*$", re.MULTILINE | re.DOTALL)
_log: Final = logging.getLogger("mkdocs.plugins.prizewire")


def slug(text: str, separator: str) -> str:
    """The anchor of a heading, as GitHub makes it: lower case, no punctuation, a hyphen for each space."""
    plain = unicodedata.normalize("NFC", text).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", separator)


@cache
def tracked() -> tuple[str, ...]:
    """The files that git tracks or would track, as paths in the repository."""
    listed = subprocess.run(
        ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return tuple(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def place_of(name: str) -> str:
    """The place in the site of a file of the repository."""
    path = PurePosixPath(name)
    if path.parts[0] == _DOCS:
        return str(path.relative_to(_DOCS))
    if path.suffix == ".md":
        return f"{BELOW}/{name}"
    # a name that begins with a point would be left out of the site, and a browser shows text where the name ends in .txt
    return f"{RAW}/{'/'.join(part.removeprefix('.') for part in path.parts)}.txt"


def name_of(place: str) -> str:
    """The path in the repository of a page of the site."""
    return place.removeprefix(f"{BELOW}/") if place.startswith(f"{BELOW}/") else f"{_DOCS}/{place}"


def target_of(name: str, link: str) -> str | None:
    """The file of the repository that a link in the file ``name`` leads to; of a folder its README. None: there is none."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
    for candidate in (path, f"{path}/README.md", f"{path}/index.md"):
        if candidate in tracked():
            return candidate
    return None


def targets(text: str) -> Iterator[str]:
    """The paths of the relative links in a page, without those in blocks of code."""
    for match in _LINK.finditer(_FENCE.sub("", text)):
        path = match["target"].partition("#")[0]
        if path and not _OUTSIDE.match(match["target"]):
            yield path


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Anchors as GitHub makes them, since the same pages are read there. Pages of the navigation that exist."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    config.nav = [*_existing(config.nav or []), *_repository_pages()]
    return config


def _existing(nav: list[Any]) -> Iterator[Any]:
    """The navigation without the pages that do not exist. A name with ``/`` at its end is a folder: all its pages."""
    for entry in nav:
        if isinstance(entry, str):
            if f"{_DOCS}/{entry}" in tracked():
                yield entry
            continue
        ((title, value),) = entry.items()
        found = _folder(value) if isinstance(value, str) else list(_existing(value))
        if found:
            yield {title: found}


def _folder(folder: str) -> list[str]:
    pages = [name for name in tracked() if name.startswith(f"{_DOCS}/{folder}") and name.endswith(".md")]
    return [
        place_of(name) for name in sorted(pages, key=lambda name: (not name.endswith("/README.md"), name))
    ]


def _outside() -> list[str]:
    return [name for name in tracked() if name.endswith(".md") and not name.startswith(f"{_DOCS}/")]


def _repository_pages() -> list[dict[str, Any]]:
    """The section of the navigation with the pages of files outside of docs, by folder."""
    groups: dict[str, list[Any]] = {}
    for name in _outside():
        folder = name.split("/")[0] if "/" in name else "Project"
        groups.setdefault(folder, []).append({_title(name): place_of(name)})
    return [{"Repository": [{folder: pages} for folder, pages in groups.items()]}]


def _title(name: str) -> str:
    """The title of a page in the navigation: its folder without the names that each has, or its name."""
    path = PurePosixPath(name)
    if path.name != "README.md":
        return path.stem.capitalize()
    parts = [part for part in path.parent.parts[1:] if part != "src" and not part.startswith("prizewire_")]
    return " / ".join(parts) or str(path.parent if path.parent.name else "README")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside of docs, and each other file that a page links to."""
    linked: set[str] = set()
    for name in (
        *_outside(),
        *(name for name in tracked() if name.startswith(f"{_DOCS}/") and name.endswith(".md")),
    ):
        text = (ROOT / name).read_text()
        linked |= {found for link in targets(text) if (found := target_of(name, link)) is not None}
    for name in sorted({*_outside(), *linked}):
        if name.startswith(f"{_DOCS}/"):
            continue
        files.append(File.generated(config, place_of(name), content=(ROOT / name).read_text()))
    for file in files:
        if not file.src_uri.endswith(".md") and file.inclusion is InclusionLevel.UNDEFINED:
            file.inclusion = InclusionLevel.INCLUDED
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Rewrite the links of a page to places in the site. A link that leads nowhere is logged, and fails the build."""
    place = page.file.src_uri
    name = name_of(place)

    def rewritten(match: re.Match[str]) -> str:
        target = match["target"]
        link, hash_, anchor = target.partition("#")
        if not link or _OUTSIDE.match(target):
            return match[0]
        found = target_of(name, link)
        if found is None:
            _log.warning("%s links to %s, which does not exist", name, link)
            return match[0]
        relative = posixpath.relpath(place_of(found), posixpath.dirname(place) or ".")
        return f"{match['before']}{relative}{hash_}{anchor}{match['after']}"

    return _outside_of_code(markdown, rewritten)


def _outside_of_code(markdown: str, rewritten: Any) -> str:
    """The text with the links outside of blocks of code rewritten."""
    parts: list[str] = []
    end = 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(rewritten, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(rewritten, markdown[end:])])


def broken(pages: Mapping[str, str]) -> list[str]:
    """The links of pages that lead to no file of the repository, as ``page: link``. ``pages`` are texts by path."""
    return [
        f"{name}: {link}"
        for name, text in pages.items()
        for link in targets(text)
        if target_of(name, link) is None
    ]
