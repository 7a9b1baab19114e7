"""
The failure cases and the invariants of billing, as billing.md beside the repository has them in sections 3 and 4.6,
each with the tests that prove it; see `tests.billing.proofs`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """What may happen, what must then hold, and its tests (`file::function`, below tests/)."""

    case: str
    behaviour: str
    tests: Sequence[str]


@dataclass(frozen=True, slots=True)
class Held:
    """
    What always holds: the tests that try it at random or by force, and what `manage.py ledger verify` checks of it.

    Where no look at the books can tell (`verify` is empty), `instead` says what does.
    """

    rule: str
    tests: Sequence[str]
    verify: Sequence[str] = ()
    instead: str = ""


# By the words that the name of its first test holds.
CASES: Mapping[str, Case] = {
    "webhook_replay_or_duplicate": Case(
        "a webhook comes twice",
        "event id and effect in one transaction; a second uniqueness on what it pays",
        (
            "billing/test_webhooks.py::test_webhook_replay_or_duplicate_is_stored_and_applied_once",
            "billing/test_invoice_states.py::test_webhook_replay_or_duplicate_posts_a_payment_once",
            "billing/test_refunds.py::test_refund_is_posted_once_however_often_stripe_tells_of_it",
        ),
    ),
    "out_of_order": Case(
        "webhooks come in any order",
        "an event is a hint: the object is read anew, and paid never goes back to open",
        (
            "billing/test_webhooks.py::test_out_of_order_events_end_alike",
            "billing/test_invoice_states.py::test_webhooks_out_of_order_end_in_the_same_state",
            "billing/test_disputes.py::test_any_order_and_number_of_the_events_ends_alike",
            "billing/test_invoice_states.py::test_a_paid_invoice_never_goes_back_to_open",
        ),
    ),
    "handler_slow_or_down": Case(
        "the handler is slow or down",
        "stored, answered, applied by a worker; a poller finds what was lost",
        (
            "billing/test_webhooks.py::test_handler_slow_or_down_leaves_its_event_waiting",
            "billing/test_webhooks.py::test_worker_killed_between_store_and_apply_loses_nothing",
            "billing/test_webhooks.py::test_lost_webhooks_are_found_by_the_poller",
            "billing/test_invoice_states.py::test_lost_webhooks_are_found_by_the_poller",
        ),
    ),
    "replay_attack_or_forged_event": Case(
        "an old or forged event",
        "300 s in both directions, signature over the raw body, our mode, our customer",
        (
            "billing/test_webhooks.py::test_replay_attack_or_forged_event_is_refused",
            "billing/test_webhooks.py::test_an_event_of_the_other_mode_is_refused",
            "billing/test_topups.py::test_another_organizations_webhook_moves_nobodys_money",
        ),
    ),
    "crash_between_created_at_stripe_and_recorded": Case(
        "a crash between `created at Stripe` and `recorded`",
        "a key that was written down first, and a look by list and metadata",
        (
            "billing/test_invoice_push.py::test_crash_between_created_at_stripe_and_recorded",
            "billing/test_push_killed.py::test_killed_push_is_gone_on_with",
            "billing/test_topups.py::test_crash_between_created_at_stripe_and_recorded_costs_nothing",
            "billing/test_topups.py::test_crash_between_created_at_stripe_and_recorded_makes_no_second_customer",
            "billing/test_auto_topups.py::test_crash_between_created_at_stripe_and_recorded_charges_once",
            "billing/test_refunds.py::test_crash_between_created_at_stripe_and_recorded_refunds_once",
        ),
    ),
    "partial_push": Case(
        "a push that ended half-way",
        "missing lines by their metadata, total compared before it is final",
        (
            "billing/test_invoice_push.py::test_partial_push_goes_on_with_the_lines_that_are_missing",
        ),
    ),
    "cached_failure_under_a_key": Case(
        "Stripe keeps a failure under a key",
        "on a replayed error: look, then the next generation of the key",
        (
            "billing/test_invoice_push.py::test_cached_failure_under_a_key_ends_its_generation",
            "billing/test_topups.py::test_cached_failure_under_a_key_does_not_stay",
            "billing/test_auto_topups.py::test_cached_failure_under_a_key_is_left_behind_after_a_look",
            "billing/test_refunds.py::test_cached_failure_under_a_key_is_left_behind_by_the_next",
        ),
    ),
    "key_from_a_serial_id": Case(
        "a table that counts from 1 again",
        "keys are made of random ids",
        (
            "billing/test_invoice_push.py::test_key_from_a_serial_id_is_never_used_for_an_invoice",
            "billing/test_topups.py::test_key_from_a_serial_id_is_never_used",
        ),
    ),
    "two_beats_and_celery_redelivery": Case(
        "two beats, a task delivered again",
        "unique by organization and period, an advisory lock; beat only looks for work",
        (
            "billing/test_at_once.py::test_two_beats_and_celery_redelivery_at_the_same_moment_make_one_invoice",
            "billing/test_invoice_states.py::test_two_beats_close_and_push_once",
            "billing/test_invoice_push.py::test_three_billers_at_once_make_one_invoice",
            "billing/test_auto_topups.py::test_two_beats_at_once_charge_once",
        ),
    ),
    "retried_settlement_and_late_commit": Case(
        "a settlement that is sent again, one that commits late",
        "settled once; claimed once; what comes late is on the next invoice",
        (
            "billing/test_at_once.py::test_retried_settlement_and_late_commit_are_billed_once_each",
            "billing/test_settle.py::test_second_settlement_changes_nothing_and_returns_the_first_charge",
            "billing/test_invoicing.py::test_late_event_goes_on_the_next_invoice_with_its_true_date",
        ),
    ),
    "partial_period": Case(
        "an organization joins, leaves or switches in mid-period",
        "the period is cut there; a last invoice follows",
        (
            "billing/test_invoicing.py::test_partial_period_begins_when_the_organization_joins",
            "billing/test_invoicing.py::test_partial_period_ends_when_the_plan_is_switched",
        ),
    ),
    "clock": Case(
        "time zones, changes of the clocks, leap days",
        "half-open times in UTC by the database's clock; the zone picks the boundaries",
        (
            "billing/test_billing_periods.py::test_clock_dst_month_is_an_hour_longer_or_shorter",
            "billing/test_billing_periods.py::test_clock_leap_day_belongs_to_february",
            "billing/test_billing_periods.py::test_clock_change_of_the_time_zone_holds_from_the_next_period_on",
            "billing/test_invoicing.py::test_clock_last_moment_of_a_month_belongs_to_it_and_the_first_of_the_next_does_not",
            "billing/test_billing_periods.py::test_two_years_of_months_tile_time_in_every_zone",
        ),
    ),
    "price_change_mid_period": Case(
        "a price changes in mid-period",
        "a line for each version; nothing is rated anew",
        (
            "billing/test_invoicing.py::test_price_change_mid_period_splits_the_line_by_version",
            "billing/test_rerating.py::test_calls_rated_again_cost_what_they_cost_whatever_the_price_is_now",
        ),
    ),
    "price_missing_for_a_model": Case(
        "a model without a price",
        "refused before the call, never 0",
        (
            "gateway/test_models.py::test_price_missing_for_a_model_means_neither_listed_nor_served",
            "gateway/test_bills.py::test_a_tier_without_a_price_is_refused_before_anything_is_sent",
        ),
    ),
    "customer_deleted_at_stripe": Case(
        "the customer is deleted at Stripe",
        "made anew, the old one stays known, debts stay",
        (
            "billing/test_invoice_push.py::test_customer_deleted_at_stripe_is_made_anew_and_the_debt_stays",
            "billing/test_topups.py::test_customer_deleted_at_stripe_is_made_anew_and_the_old_one_stays_known",
            "billing/test_auto_topups.py::test_customer_deleted_at_stripe_stops_it_without_charging",
        ),
    ),
    "organization_deletion": Case(
        "an organization is deleted",
        "its period ends, its last invoice is waited for, then its name and people go",
        (
            "billing/test_closing.py::test_organization_deletion_waits_for_the_final_invoice",
            "billing/test_closing.py::test_credit_that_was_paid_for_keeps_an_organization_open",
        ),
    ),
    "payment_failed": Case(
        "a payment fails",
        "mails, tries, block, given up: each a row; paying unblocks at once",
        (
            "billing/test_invoice_states.py::test_payment_failed_runs_through_every_step_of_dunning",
            "billing/test_invoice_states.py::test_paying_unblocks_at_once_and_ends_dunning",
            "billing/test_auto_topups.py::test_payment_failed_rests_an_hour_and_is_off_after_three_with_a_mail_each",
        ),
    ),
    "authentication_required": Case(
        "the bank asks its holder, or no card is there",
        "a link to pay; never tried blindly",
        (
            "billing/test_invoice_push.py::test_authentication_required_leaves_the_invoice_open_with_its_page",
            "billing/test_invoice_push.py::test_missing_payment_method_leaves_the_invoice_open_with_its_page",
            "billing/test_topups.py::test_authentication_required_waits_for_the_payer",
            "billing/test_auto_topups.py::test_authentication_required_asks_a_person_and_never_tries_blindly",
        ),
    ),
    "refund": Case(
        "money goes back",
        "by the difference of running sums, within what was paid; the wallet may go below zero",
        (
            "billing/test_refunds.py::test_refund_made_at_stripe_is_posted_by_what_has_changed",
            "billing/test_refunds.py::test_refund_of_used_credit_takes_the_wallet_below_zero_and_the_next_top_up_pays_it",
            "billing/test_refunds.py::test_refunds_of_one_payment_add_up_and_never_pass_it",
            "billing/test_invoice_returns.py::test_each_part_of_a_refund_is_a_delta",
        ),
    ),
    "dispute": Case(
        "a payment is disputed",
        "credit frozen, taken, exactly given back when won; lost with its fee",
        (
            "billing/test_disputes.py::test_a_dispute_that_is_won_brings_the_credit_back_exactly",
            "billing/test_disputes.py::test_a_dispute_that_is_lost_is_final",
            "billing/test_disputes.py::test_credit_is_frozen_while_a_bank_only_asks",
            "billing/test_invoice_returns.py::test_dispute_that_is_won_is_reversed_exactly",
            "billing/test_invoice_returns.py::test_dispute_that_is_lost_is_a_bad_debt_and_a_fee",
        ),
    ),
    "minimum_charge": Case(
        "an amount below the least that can be charged",
        "carried forward; what Stripe moves to the customer's balance is shown to staff",
        (
            "billing/test_invoicing.py::test_below_the_minimum_charge_it_is_carried_forward",
            "billing/test_reconciliation.py::test_minimum_charge_that_stripe_moves_to_the_balance_is_found",
        ),
    ),
    "zero_invoice": Case(
        "nothing was used",
        "a row here, nothing at Stripe",
        ("billing/test_invoicing.py::test_zero_invoice_is_a_local_row_only",),
    ),
    "more_than_250_lines": Case(
        "more lines than Stripe takes",
        "240 and one for the rest; all of them here",
        (
            "billing/test_invoice_push.py::test_more_than_250_lines_become_240_and_one",
            "billing/test_invoicing.py::test_what_is_beyond_240_lines_goes_to_stripe_as_one",
        ),
    ),
    "someone_edits_in_the_dashboard": Case(
        "somebody edits at Stripe",
        "nothing goes on; reconciliation shows it and puts nothing right",
        (
            "billing/test_invoice_push.py::test_someone_edits_in_the_dashboard_and_nothing_is_finalized",
            "billing/test_topups.py::test_someone_edits_in_the_dashboard_and_nothing_is_credited",
            "billing/test_reconciliation.py::test_nothing_is_put_right_by_comparing",
        ),
    ),
}

BOTH_SIDES = (
    "billing/test_payment_properties.py"
    "::test_both_sides_agree_in_whatever_order_stripe_tells_and_money_stays_with_its_payer"
)
INVOICE_TOLD = (
    "billing/test_payment_properties.py::test_an_invoice_ends_alike_in_whatever_order_stripe_tells"
)
HISTORIES = "billing/test_invoice_histories.py::test_whatever_happens_to_invoices_the_books_hold"
CREDIT = "billing/test_credit_histories.py::test_whatever_happens_to_credit_the_books_hold"
SIMULATOR = "billing/test_simulator.py::test_no_history_breaks_a_promise"
REFERENCE = "billing/test_against_reference.py::test_database_and_reference_agree_over_any_history"

INVARIANTS: Mapping[int, Held] = {
    1: Held(
        "What calls cost is what was drawn of wallets, what is unbilled and what sealed lines hold.",
        (HISTORIES, CREDIT, SIMULATOR),
        ("ledger of calls", "draws", "unbilled", "invoice lines", "posted"),
    ),
    2: Held(
        "All that was ever sealed is the cents of invoices and a carried part of one cent.",
        (
            HISTORIES,
            "billing/test_invoice_sums.py::test_cents_and_carry_are_the_sum_exactly",
            "billing/test_invoice_sums.py::test_random_invoices_are_exact_every_month",
        ),
        ("cents",),
    ),
    3: Held(
        "A request is one event, one posting, and on one line or drawn of a wallet, never both.",
        (
            SIMULATOR,
            HISTORIES,
            "billing/test_settle.py::test_any_interleaving_of_two_processes_keeps_the_books",
        ),
        ("one event", "one payer", "ledger of calls", "reserved first", "attempts"),
    ),
    4: Held(
        "Every posting is balanced by its shape, and counters, lots and sums are what the postings give.",
        (SIMULATOR, CREDIT, REFERENCE),
        (
            "wallets",
            "posted",
            "periods of budgets",
            "roll-ups",
            "sums of days",
            "credit lots",
            "true-ups",
        ),
    ),
    5: Held(
        "A lot is what remains, was drawn, went back or ended of it; what comes back returns to its lots.",
        (CREDIT, "billing/test_lots.py::test_what_comes_back_returns_to_the_lots_drawn_last"),
        ("parts of lots", "money back"),
    ),
    6: Held(
        "One invoice that counts for each period; periods follow each other without a gap.",
        (
            HISTORIES,
            "billing/test_billing_periods.py::test_two_years_of_months_tile_time_in_every_zone",
        ),
        ("periods",),
    ),
    7: Held(
        "Here and at Stripe are the same lines, totals, states, payments, refunds and disputes.",
        (
            BOTH_SIDES,
            INVOICE_TOLD,
            "billing/test_push_properties.py::test_a_push_that_dies_anywhere_any_number_of_times_makes_one_invoice",
            "billing/test_push_killed.py::test_killed_push_is_gone_on_with",
            "billing/test_reconciliation.py::test_books_that_agree_have_no_difference",
        ),
        ("money in", "top-ups", "receivable", "invoice money back"),
    ),
    8: Held(
        "Webhooks in any order, number and with any lost (then polled) end alike.",
        (
            BOTH_SIDES,
            INVOICE_TOLD,
            "billing/test_invoice_states.py::test_webhooks_out_of_order_end_in_the_same_state",
            "billing/test_disputes.py::test_any_order_and_number_of_the_events_ends_alike",
            HISTORIES,
        ),
        instead="a race has no trace in the books: the end states are compared by the tests",
    ),
    9: Held(
        "kill -9 after any step, then again: the same end, with keys alive, expired, or a kept failure.",
        (
            "billing/test_push_killed.py::test_killed_push_is_gone_on_with",
            "billing/test_push_properties.py::test_a_push_that_dies_anywhere_any_number_of_times_makes_one_invoice",
        ),
        instead="the tests compare the end with Stripe's objects; the nightly comparison does so in production",
    ),
    10: Held(
        "Any number of workers and beats is one.",
        (
            "billing/test_push_properties.py::test_any_workers_with_any_of_the_tasks_at_once_are_one_worker",
            "billing/test_at_once.py::test_two_beats_and_celery_redelivery_at_the_same_moment_make_one_invoice",
            "billing/test_at_once.py::test_retried_settlement_and_late_commit_are_billed_once_each",
            "billing/test_invoice_push.py::test_three_billers_at_once_make_one_invoice",
        ),
        ("periods", "invoice lines"),
    ),
    11: Held(
        "Stored counts at the stored price version give the stored price.",
        (
            "billing/test_rerating.py::test_calls_rated_again_cost_what_they_cost_whatever_the_price_is_now",
            "billing/test_pricing.py::test_charge_rounds_half_to_even_once",
        ),
        instead="`manage.py ledger rates` rates the newest calls again, in Python",
    ),
    12: Held(
        "What counters hold is the bounds of the open reservations, 0 when idle.",
        (SIMULATOR, REFERENCE),
        ("held", "leases"),
    ),
    13: Held(
        "At every admission posted and held stay within the cap, and nothing is refused that fits.",
        (
            SIMULATOR,
            REFERENCE,
            "billing/test_reserve.py::test_500_parallel_calls_through_two_processes_never_pass_a_cap",
        ),
        ("within the bound", "overdrawn"),
        instead="a cap may be lowered below what is spent, so only the moment of admission can tell",
    ),
    14: Held(
        "Nothing of one organization is reached from another, nor joined to it.",
        (
            "billing/test_tenancy_properties.py::test_nothing_of_another_organization_shows_or_changes_what_is_seen",
            "test_authorization.py::test_objects_of_another_organization_are_not_there",
            "billing/test_payment_properties.py::test_a_payment_that_names_another_organization_is_nobodys",
            "billing/test_topups.py::test_another_organizations_webhook_moves_nobodys_money",
            "billing/test_invoicing.py::test_other_organizations_are_not_touched",
        ),
        ("tenants",),
    ),
}
