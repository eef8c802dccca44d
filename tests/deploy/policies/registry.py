"""The policies that every rendered overlay holds. Each is seen failing in tests/deploy/test_policies.py."""

from tests.deploy.policies.configuration import CONFIGURATION
from tests.deploy.policies.network import NETWORK
from tests.deploy.policies.references import REFERENCES
from tests.deploy.policies.workloads import WORKLOADS
from tests.deploy.policies.world import Policy

POLICIES: dict[str, Policy] = {
    policy.__name__: policy for policy in (*WORKLOADS, *CONFIGURATION, *NETWORK, *REFERENCES)
}
