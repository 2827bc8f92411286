"""The documentation's examples: programs run, templates are clean, links lead somewhere."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hpo_constructs import check
from hpo_constructs.documents import read

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples/gitops/README.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall(page.read_text()) if kind == language]


# A block with an app is a program; others show a line or two.
PROGRAMS = [(page, number) for page in PAGES for number, code in enumerate(blocks(page, "python")) if "App(" in code]


@pytest.fixture(scope="module")
def readme_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README shows: those whose first line names them."""
    folder = tmp_path_factory.mktemp("readme")
    for code in blocks(ROOT / "README.md", "yaml"):
        if named := re.match(r"# (\S+\.yaml)\n", code):
            (folder / named[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / named[1]).write_text(code)
    return folder


def test_there_are_programs_on_the_pages() -> None:
    assert len(PROGRAMS) >= 9


@pytest.mark.parametrize(("page", "number"), PROGRAMS, ids=lambda value: getattr(value, "name", value))
def test_programs_run(
    page: Path, number: int, readme_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a whole app, and its synthesis has no errors."""
    import aws_cdk

    monkeypatch.chdir(readme_folder)
    monkeypatch.setattr(aws_cdk, "App", partial(aws_cdk.App, outdir=str(tmp_path)))
    exec(compile(blocks(page, "python")[number], f"{page.name}:{number}", "exec"), {})  # noqa: S102 - our own pages
    assert list(tmp_path.rglob("*.template.json"))


def test_the_readme_s_template_is_clean(readme_folder: Path) -> None:
    found: Any = check(read(readme_folder / "templates/churn.yaml"))
    assert [finding for finding in found if finding.severity != "unknown"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_json_is_json_and_links_lead_somewhere(page: Path) -> None:
    for code in blocks(page, "json"):
        json.loads(code)
    prose = BLOCK.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
