"""The rights of each Kafka principal: topics that it reads and writes, and sources of its events. Each has the least it needs.

A consumer cannot see which principal wrote a message. The key of a source binds it to a principal: a service's key is
in ``trust.json``, a game server's in its competitions, an identity source's in ``player-sources.yaml``.
WRITE and READ each imply DESCRIBE in Kafka's StandardAuthorizer. A service also reads what it writes: after
a restore it compares its outbox with the tail of its own topics. Consumer groups are named `<principal>.…`.
"""

from dataclasses import dataclass
from typing import Final

from prizewire_contracts import topics

_MATCHES: Final = topics.MATCHES.name
_SETTLEMENTS: Final = topics.SETTLEMENTS.name
_REWARDS: Final = topics.REWARDS.name
_PAYOUTS: Final = topics.PAYOUTS.name
_SIGNING_REQUESTS: Final = topics.SIGNING_REQUESTS.name
_SIGNING_RESULTS: Final = topics.SIGNING_RESULTS.name
_PLAYERS: Final = topics.PLAYERS.name
_PROVIDER_WEBHOOKS: Final = topics.PROVIDER_WEBHOOKS.name
_AUDIT: Final = topics.AUDIT.name

TOPICS: Final = {topic.name: topic.partitions for topic in topics.TOPICS}
"""Every topic with its number of partitions, which is fixed for life: the key decides the partition."""

ADMIN: Final = "admin"
"""The super user of the broker's listener: creates topics and ACLs, and is the broker's principal towards itself."""

CONTROLLER: Final = "controller"
"""The super user of the controller's listener, and the only login there: the broker's principal towards its controller.
The broker's listener does not know it.
"""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The rights of one principal; `groups` says whether it may join groups named `<principal>.…`, `describes` whether it may see
    all topics, settings and ACLs, which `prizewire doctor` compares with these tables.

    `sources` are the sources of what it writes; one that ends in a slash stands for all that begin with it.
    """

    principal: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    groups: bool = True
    describes: bool = False

    @property
    def readable(self) -> tuple[str, ...]:
        """Every topic that may be read: those consumed and, for those with groups, those written."""
        own = self.writes if self.groups else ()
        return tuple(dict.fromkeys((*self.reads, *own)))

    def writes_as(self, source: str) -> bool:
        """Say whether this principal writes the events of `source`."""
        return any(source == one or (one.endswith("/") and source.startswith(one)) for one in self.sources)


GAME_SERVER_SOURCE: Final = "/game-servers/local"
IDENTITY_SOURCE: Final = "/identity/local"

GRANTS: Final = (
    Grant(
        principal="settlement",
        reads=(_MATCHES, _REWARDS),
        writes=(_SETTLEMENTS, _AUDIT),
        sources=("/prizewire/settlement",),
    ),
    Grant(
        principal="rewards",
        reads=(_SETTLEMENTS, _PAYOUTS, _PLAYERS),
        writes=(_REWARDS, _AUDIT),
        sources=("/prizewire/rewards",),
    ),
    Grant(
        principal="payouts",
        reads=(_REWARDS, _SIGNING_RESULTS, _PROVIDER_WEBHOOKS, _PLAYERS, _AUDIT),
        writes=(_PAYOUTS, _SIGNING_REQUESTS, _AUDIT),
        sources=("/prizewire/payouts",),
    ),
    Grant(
        principal="webhooks",
        reads=(_PAYOUTS,),
        writes=(_PROVIDER_WEBHOOKS, _AUDIT),
        sources=("/prizewire/webhooks",),
    ),
    Grant(
        principal="signer",
        reads=(_SIGNING_REQUESTS,),
        writes=(_SIGNING_RESULTS, _AUDIT),
        sources=("/prizewire/signer",),
    ),
    Grant(principal="game-server", writes=(_MATCHES,), sources=("/game-servers/",), groups=False),
    Grant(principal="identity", writes=(_PLAYERS,), sources=(IDENTITY_SOURCE,), groups=False),
    Grant(principal="operator", reads=tuple(TOPICS), describes=True),
)

PRINCIPALS: Final = (ADMIN, *(grant.principal for grant in GRANTS))
"""Every principal that may log in at the broker's listener."""
