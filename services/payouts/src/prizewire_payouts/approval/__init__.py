"""Who must agree before money leaves: limits, approvers, pauses."""
