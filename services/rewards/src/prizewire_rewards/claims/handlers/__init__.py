"""Opening, judging, deciding and expiring claims."""
