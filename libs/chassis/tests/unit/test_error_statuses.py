"""Each domain error has one HTTP status, and keeps its code, its sentence and its members."""

import pytest

from prizewire_chassis.http import ErrorStatuses


class ThingError(Exception):
    """The root of the errors here."""

    code = "thing_error"


class NotFound(ThingError):
    """Nothing has this id."""

    code = "thing_not_found"


class Refused(ThingError):
    """A rule forbids it."""

    def __init__(self, code: str, detail: str, **members: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail, self.members = code, detail, members


class Busy(Refused):
    """Another request changes it."""


STATUSES = ErrorStatuses(
    errors=(ThingError,),
    by_code={"thing_not_found": 404, "thing_ended": 409},
    by_type={ThingError: 400, Refused: 422},
    default=500,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("there is no thing 7"), 404),
        (Refused("thing_ended", "it has ended"), 409),
        (Refused("too_small", "it is too small"), 422),
        (Busy("busy", "it is changed now"), 422),
        (ThingError("?"), 400),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_the_status_of_a_code_wins_over_its_class(error, status) -> None:
    """The status is that of the code, else that of the nearest class."""
    assert STATUSES.problem(error).status == status


def test_an_error_of_no_listed_class_has_the_default() -> None:
    """What neither table names is answered with the default."""
    bare = ErrorStatuses(errors=(ThingError,), by_code={}, default=422)
    assert bare.problem(Busy("busy", "now")).status == 422


def test_the_sentence_and_the_members_are_kept() -> None:
    """``detail`` is the sentence where an error has one, else its text; members stand beside it."""
    problem = STATUSES.problem(Refused("too_small", "it is too small", field="size"))
    assert problem.body(instance="/things") == {
        "type": "urn:prizewire:problem:too_small",
        "title": "Cannot be done",
        "status": 422,
        "code": "too_small",
        "detail": "it is too small",
        "instance": "/things",
        "field": "size",
    }
    assert STATUSES.problem(NotFound("there is no thing 7")).detail == "there is no thing 7"


def test_an_error_without_a_code_is_a_mistake() -> None:
    """An error that callers could not recognize is not answered as a refusal."""
    with pytest.raises(TypeError, match="ValueError has no code"):
        STATUSES.problem(ValueError("secret"))


def test_a_controller_refuses_with_the_same_status() -> None:
    """What a controller refuses itself has the status of its code, and its members."""
    assert STATUSES.refuse("thing_ended", "it has ended").status == 409
    unlisted = STATUSES.refuse("other", "no", field="size")
    assert (unlisted.status, unlisted.extra) == (500, {"field": "size"})


def test_routes_declare_codes_by_status() -> None:
    """A route's refusals are its codes under their statuses; a code without a status is a mistake."""
    assert STATUSES.refusals("thing_ended", "thing_not_found") == {
        404: ("thing_not_found",),
        409: ("thing_ended",),
    }
    with pytest.raises(ValueError, match="too_small has no status"):
        STATUSES.refusals("too_small")
