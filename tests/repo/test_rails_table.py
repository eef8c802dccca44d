"""docs/rails.md is what the tests of the rails say."""

from prizewire_railkit.conformance import RailConformance, VerifierConformance
from scripts.rails_table import PAGE, page, suites
from tests.repo.house import Repository


def test_the_table_of_rails_is_current() -> None:
    """The page is generated: run `make schemas` after a change of the suite, of a rail's skips, or of the rails."""
    assert PAGE.read_text() == page()


def test_every_rail_is_in_the_table(repository: Repository) -> None:
    """Each package under rails/ runs the suite of rails; each that verifies webhooks runs the suite of verifiers too."""
    packages = {path.parent.name: path.read_text() for path in repository.root.glob("rails/*/pyproject.toml")}
    assert set(packages) | {"stellar"} == set(suites(RailConformance))
    verifying = {name for name, text in packages.items() if "prizewire.webhook_verifiers" in text}
    assert verifying == set(suites(VerifierConformance))
