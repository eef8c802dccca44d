"""The RPC's methods. Field names and types are those of stellar-rpc (protocols/rpc of the Go SDK): close times
are strings in one answer and numbers in another, as there.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from stellar_sdk import xdr

from prizewire_stellar_sandbox import __version__
from prizewire_stellar_sandbox.core.entry_xdr import entry_to_xdr, key_from_xdr
from prizewire_stellar_sandbox.core.frames import Frame, decode
from prizewire_stellar_sandbox.core.model import PROTOCOL_VERSION
from prizewire_stellar_sandbox.core.queue import Admission, Status
from prizewire_stellar_sandbox.faults import Faults
from prizewire_stellar_sandbox.node import Node
from prizewire_stellar_sandbox.rpc.fee_stats import distribution
from prizewire_stellar_sandbox.rpc.jsonrpc import INVALID_PARAMS, Method, Params, RpcError
from prizewire_stellar_sandbox.rpc.ledger_xdr import close_meta, header_xdr
from prizewire_stellar_sandbox.storage import RETENTION_LEDGERS

_KEYS_MAX: Final = 200
_HASH_BYTES: Final = 32
_CLASSIC_FEE_LEDGERS: Final = 10
_SOROBAN_FEE_LEDGERS: Final = 50


class Methods:
    """The table of methods over one node."""

    def __init__(self, *, node: Node, faults: Faults, friendbot_url: str) -> None:
        self._node = node
        self._faults = faults
        self._friendbot_url = friendbot_url

    def table(self) -> Mapping[str, Method]:
        """Each method by its name on the wire."""
        return {
            "getHealth": self.get_health,
            "getNetwork": self.get_network,
            "getVersionInfo": self.get_version_info,
            "getLatestLedger": self.get_latest_ledger,
            "getLedgerEntries": self.get_ledger_entries,
            "getFeeStats": self.get_fee_stats,
            "sendTransaction": self.send_transaction,
            "getTransaction": self.get_transaction,
        }

    def get_health(self, _params: Params) -> dict[str, Any]:
        """Whether ledgers close. A node of one is healthy when it answers."""
        known = self._node.range()
        return {
            "status": "healthy",
            "latestLedger": known.latest.sequence,
            "latestLedgerCloseTime": known.latest.close_time,
            "oldestLedger": known.oldest.sequence,
            "oldestLedgerCloseTime": known.oldest.close_time,
            "ledgerRetentionWindow": RETENTION_LEDGERS,
        }

    def get_network(self, _params: Params) -> dict[str, Any]:
        """Which network this is."""
        return {
            "friendbotUrl": self._friendbot_url,
            "passphrase": self._node.passphrase,
            "protocolVersion": PROTOCOL_VERSION,
        }

    def get_version_info(self, _params: Params) -> dict[str, Any]:
        """What software answers."""
        return {
            "version": __version__,
            "commitHash": "",
            "buildTimestamp": "",
            "captiveCoreVersion": f"prizewire-stellar-sandbox {__version__}",
            "protocolVersion": PROTOCOL_VERSION,
        }

    def get_latest_ledger(self, _params: Params) -> dict[str, Any]:
        """The last closed ledger."""
        current = self._node.header()
        header = header_xdr(current, network_id=self._node.network_id)
        packed = header.to_xdr_bytes()
        return {
            "id": hashlib.sha256(packed).hexdigest(),
            "protocolVersion": PROTOCOL_VERSION,
            "sequence": current.sequence,
            "closeTime": str(current.close_time),
            "headerXdr": _base64(packed),
            "metadataXdr": close_meta(header).to_xdr(),
        }

    def get_ledger_entries(self, params: Params) -> dict[str, Any]:
        """Entries by their keys; those that do not exist are left out."""
        _refuse_json(params)
        keys = params.get("keys")
        if not isinstance(keys, list):
            raise RpcError(INVALID_PARAMS, "invalid parameters: keys must be an array")
        if len(keys) > _KEYS_MAX:
            raise RpcError(INVALID_PARAMS, f"key count ({len(keys)}) exceeds maximum supported ({_KEYS_MAX})")
        entries = []
        for index, text in enumerate(keys):
            ledger_key = _ledger_key(text, index)
            key = key_from_xdr(ledger_key)
            entry = None if key is None else self._node.storage.entries.get(key)
            if entry is not None:
                entries.append(
                    {
                        "key": text,
                        "xdr": entry_to_xdr(entry).to_xdr(),
                        "lastModifiedLedgerSeq": entry.modified_ledger,
                        "extXdr": xdr.LedgerEntryExt(0).to_xdr(),
                    }
                )
        return {"entries": entries, "latestLedger": self._node.latest().sequence}

    def get_fee_stats(self, _params: Params) -> dict[str, Any]:
        """What recent transactions paid for inclusion."""
        latest = self._node.latest().sequence
        ledgers = min(_CLASSIC_FEE_LEDGERS, latest)
        fees = self._node.storage.history.fees_since(latest - ledgers + 1)
        return {
            "sorobanInclusionFee": distribution([], ledgers=min(_SOROBAN_FEE_LEDGERS, latest)),
            "inclusionFee": distribution(fees, ledgers=ledgers),
            "latestLedger": latest,
        }

    def send_transaction(self, params: Params) -> dict[str, Any]:
        """Judge a transaction and queue it for the next ledger."""
        _refuse_json(params)
        known = self._node.latest()
        try:
            frame, admission = self._submit(_decode_base64(params.get("transaction")))
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, "invalid_xdr") from error
        answer = {
            "status": admission.status.value,
            "hash": frame.hash.hex(),
            "latestLedger": known.sequence,
            "latestLedgerCloseTime": str(known.close_time),
        }
        if admission.error is not None:
            answer["errorResultXdr"] = _base64(admission.error)
        return answer

    def _submit(self, envelope: bytes) -> tuple[Frame, Admission]:
        if self._faults.hits("try_again_later"):
            frame = decode(envelope, network_id=self._node.network_id)
            return frame, Admission(Status.TRY_AGAIN_LATER)
        return self._node.submit(envelope)

    def get_transaction(self, params: Params) -> dict[str, Any]:
        """The state of a transaction, by its hash (or, for a fee bump, also the inner one's)."""
        _refuse_json(params)
        text = params.get("hash")
        if not isinstance(text, str) or len(text) // 2 != _HASH_BYTES:
            length = len(text) if isinstance(text, str) else 0
            raise RpcError(INVALID_PARAMS, f"unexpected hash length ({length})")
        try:
            hash_ = bytes.fromhex(text)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, f"incorrect hash: {error}") from error
        known = self._node.range()
        answer: dict[str, Any] = {
            "status": "NOT_FOUND",
            "latestLedger": known.latest.sequence,
            "latestLedgerCloseTime": str(known.latest.close_time),
            "oldestLedger": known.oldest.sequence,
            "oldestLedgerCloseTime": str(known.oldest.close_time),
            "txHash": text,
            "applicationOrder": 0,
            "feeBump": False,
            "ledger": 0,
            "createdAt": "0",
        }
        found = self._node.transaction(hash_)
        if found is None or self._faults.hits("not_found"):
            return answer
        return answer | {
            "status": "SUCCESS" if found.succeeded else "FAILED",
            "applicationOrder": found.order,
            "feeBump": found.fee_bump,
            "envelopeXdr": _base64(found.envelope),
            "resultXdr": _base64(found.result),
            "resultMetaXdr": _base64(found.meta),
            "events": {},
            "ledger": found.ledger,
            "createdAt": str(found.close_time),
        }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode_base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("not a string")  # noqa: TRY004 - one answer for every kind of nonsense
    return base64.b64decode(text, validate=True)


def _refuse_json(params: Params) -> None:
    """The real RPC can also answer with XDR as JSON; the sandbox says that it cannot."""
    if params.get("xdrFormat") not in (None, "", "base64"):
        raise RpcError(INVALID_PARAMS, "the sandbox answers in base64 only, leave xdrFormat out")


def _ledger_key(text: object, index: int) -> xdr.LedgerKey:
    try:
        key = xdr.LedgerKey.from_xdr_bytes(_decode_base64(text))
    except (ValueError, EOFError, TypeError) as error:
        raise RpcError(INVALID_PARAMS, f"cannot unmarshal key value {text} at index {index}") from error
    if key.type == xdr.LedgerEntryType.TTL:
        raise RpcError(INVALID_PARAMS, "ledger ttl entries cannot be queried directly")
    return key
