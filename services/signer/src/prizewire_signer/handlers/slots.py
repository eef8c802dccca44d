"""Whether a slot is what it says: its id follows from what it names."""

from prizewire_contracts.ids import slot_id
from prizewire_signer.domain.model import Slot


def names_itself(slot: Slot, *, sequence: str, network: str) -> bool:
    """Whether the id follows from chain, network, account and sequence, and ``sequence`` is the number's own text.

    Sequence numbers are signed 64-bit integers (Stellar protocol, ``SequenceNumber``).
    """
    derived = slot_id(chain=slot.chain, network=network, account=slot.account, sequence=slot.sequence)
    return derived == slot.slot_id and str(slot.sequence) == sequence and slot.sequence < 2**63
