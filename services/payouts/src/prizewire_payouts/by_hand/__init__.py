"""Payments that people make: lists of lines, claims, exported files and uploaded answers, for every rail that has them."""
