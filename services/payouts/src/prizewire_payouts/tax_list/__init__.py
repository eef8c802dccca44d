"""What each person was paid in a year, for tax reports."""
