"""What settlement says of rounds: settled, final, corrected, voided; and rounds that two admins disowned."""
