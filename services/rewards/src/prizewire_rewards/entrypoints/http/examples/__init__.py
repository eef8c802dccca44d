"""What the OpenAPI document shows of answers, by theme. Every route has one; a test looks that none is missing, and
that real answers have the same fields.
"""
