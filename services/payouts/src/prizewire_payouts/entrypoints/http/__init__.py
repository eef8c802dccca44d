"""HTTP: payout methods, payouts, and what approvers and operators do with them."""

from prizewire_payouts.entrypoints.http.admin import admin_controller, pauses_controller
from prizewire_payouts.entrypoints.http.announcing import announcing_controller
from prizewire_payouts.entrypoints.http.known import known_controller
from prizewire_payouts.entrypoints.http.methods import methods_controller
from prizewire_payouts.entrypoints.http.parts import HttpParts
from prizewire_payouts.entrypoints.http.payouts import payouts_controller
from prizewire_payouts.entrypoints.http.reviews import ReviewParts, reviews_controller

__all__ = [
    "HttpParts",
    "ReviewParts",
    "admin_controller",
    "announcing_controller",
    "known_controller",
    "methods_controller",
    "pauses_controller",
    "payouts_controller",
    "reviews_controller",
]
