"""Files for the people who pay, and their answer files."""
