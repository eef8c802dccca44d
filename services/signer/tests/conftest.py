"""What the signer's tests share."""
