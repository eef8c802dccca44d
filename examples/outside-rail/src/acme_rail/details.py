"""``acme_card``: a card of the vendor, by its number."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from prizewire_railkit.method_types import MethodDetails, MethodType, refusal

_CARD: Final = re.compile(r"AC[0-9]{10}")


def _card(value: str) -> str:
    if not _CARD.fullmatch(value):
        raise refusal("card_invalid", "card is AC and ten digits")
    return value


class AcmeDetails(MethodDetails):
    """Details of type ``acme_card``."""

    card: Annotated[str, AfterValidator(_card), Field(examples=["AC0123456789"])]

    def masked(self) -> str:
        """See `MethodDetails`."""
        return f"AC…{self.card[-3:]}"


ACME_CARD = MethodType(name="acme_card", details=AcmeDetails, summary="a card of the vendor, by its number")
