"""The rotation of the key that encrypts details and marks rows: what a former key wrote is written again by the present one."""
