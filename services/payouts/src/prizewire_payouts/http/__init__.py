"""What the HTTP of all features shares."""
