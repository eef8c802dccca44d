"""A game server that reports a result: builds a match.completed, signs it, and sends it to Prizewire over HTTP.

python report.py MATCH_ID COMPETITION PLAYER...     the players in the order of their places
It needs the library `cryptography`, and in its environment PRIZEWIRE_URL, SOURCE and SOURCE_TOKEN (made by an admin) and
KEY_FILE (made by `prizewire source keygen`). The event is written to MATCH_ID.json before it is sent, and sent from there
again, so that every attempt sends the same bytes: a result that arrives twice counts once.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TAG = (
    b"prizewire:event:v1\nprizewire.matches.v1\n"  # what a signature covers begins with its use and its topic
)


def canonical(value: object) -> bytes:
    """RFC 8785, for what may stand in an event: no fractions, keys in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


if len(sys.argv) < 4:
    sys.exit(__doc__)
match_id, competition, *players = sys.argv[1:]
sent = Path(f"{match_id}.json")
if not sent.exists():
    key = json.loads(Path(os.environ["KEY_FILE"]).read_text())
    event = {
        "specversion": "1.0",
        "id": f"{match_id}-result-1",
        "source": os.environ["SOURCE"],
        "type": "prizewire.match.completed.v1",
        "time": datetime.now(UTC).isoformat(),
        "subject": match_id,
        "datacontenttype": "application/json",
        "keyid": key["keyid"],
        "data": {
            "match_id": match_id,
            "competition": competition,
            "results": [{"player": player, "place": place} for place, player in enumerate(players, 1)],
        },
    }
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["private_key"]))
    event["signature"] = private.sign(TAG + canonical(event)).hex()
    sent.write_bytes(canonical(event))
headers = {
    "authorization": f"Bearer {os.environ['SOURCE_TOKEN']}",
    "content-type": "application/json",
    "idempotency-key": f"{match_id}-result-1",
}
request = urllib.request.Request(f"{os.environ['PRIZEWIRE_URL']}/api/matches", sent.read_bytes(), headers)
try:
    with urllib.request.urlopen(request, timeout=30) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as refused:
    problem = json.loads(refused.read())
    sys.exit(f"{problem['status']} {problem['code']}: {problem['detail']}")
