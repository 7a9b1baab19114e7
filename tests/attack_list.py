"""The attacks of ../shared/reliability.md, sections 2a to 2f, each with its tests; see `tests.attacks`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

IDS = (
    *(f"A{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 11)),
    *(f"B{number}" for number in (1, 2, 3, 5, 6, 8, 9, 10, 12, 13)),
    *(f"C{number}" for number in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 17)),
    *(f"D{number}" for number in (2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14)),
    *(f"E{number}" for number in (1, 2, 3, 4, 5, 6, 7, 9)),
    *(f"F{number}" for number in (1, 2, 3, 5, 7, 8, 9, 10)),
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What is tried, and the tests (`file::function`, below tests/) that try it; or why there is none."""

    attack: str
    tests: Sequence[str] = ()
    reason: str = ""


PROOFS: Mapping[str, Proof] = {
    "A1": Proof(
        "SQL in a credential, on every route",
        (
            "gateway/test_auth.py::test_what_is_no_key_is_refused_and_not_repeated",
            "gateway/test_attacks.py::test_a1_sql_in_a_credential_is_a_wrong_credential",
        ),
    ),
    "A2": Proof(
        "keys that share their beginning",
        (
            "apikeys/test_keys.py::test_one_wrong_character_is_found_by_the_checksum",
            "gateway/test_attacks.py::test_a2_keys_that_begin_alike_are_never_taken_for_each_other",
        ),
    ),
    "A3": Proof(
        "the stored hash as a credential",
        ("gateway/test_auth.py::test_stored_hash_is_no_credential",),
    ),
    "A4": Proof(
        "the key by every header, twice, in the query",
        (
            "gateway/test_auth.py::test_key_is_accepted_as_bearer_in_any_case",
            "gateway/test_auth.py::test_two_different_keys_are_refused",
            "gateway/test_auth.py::test_key_in_the_query_is_not_looked_at",
        ),
    ),
    "A5": Proof(
        "every address and method without a key",
        (
            "gateway/test_urls.py::test_no_route_answers_without_a_key",
            "test_authorization.py::test_every_page_below_an_organization_goes_through_the_door",
        ),
    ),
    "A6": Proof(
        "revoked, expired, blocked: the next request and a running stream",
        (
            "gateway/test_revocation.py::test_every_process_is_told_of_a_revoked_key_at_once",
            "gateway/test_revocation.py::test_running_streams_of_a_revoked_key_are_cut",
        ),
    ),
    "A7": Proof(
        "a key shown in an error",
        (
            "gateway/test_auth.py::test_key_that_nobody_has_is_refused_showing_only_its_ends",
            "gateway/test_auth.py::test_what_is_no_key_is_refused_and_not_repeated",
        ),
    ),
    "A8": Proof(
        "timing of unknown and wrong keys",
        (
            "gateway/test_auth.py::test_wrong_checksum_asks_no_database",
            "apikeys/test_keys.py::test_the_digest_is_hmac_sha_256_under_the_pepper",
        ),
    ),
    "A11": Proof(
        "reading a key a second time",
        (
            "apikeys/test_views.py::test_the_secret_is_in_the_answer_to_the_form_and_nowhere_after",
            "apikeys/test_services.py::test_the_secret_is_stored_nowhere_but_its_digest_is",
        ),
    ),
    "B1": Proof(
        "objects of another organization",
        (
            "test_authorization.py::test_objects_of_another_organization_are_not_there",
            "test_authorization.py::test_pages_of_an_organization_are_open_to_whom_their_action_says",
        ),
    ),
    "B2": Proof(
        "a provider's object ids of another tenant",
        (
            "gateway/test_images.py::test_files_of_a_provider_s_storage_are_nobody_s_here",
            "gateway/test_urls.py::test_routes_of_openai_that_are_not_offered_say_so",
        ),
    ),
    "B3": Proof(
        "paths in an id that goes into an address",
        ("gateway/test_attacks.py::test_b3_a_path_in_a_name_reaches_no_provider",),
    ),
    "B5": Proof(
        "a partial update that nulls an owner or a cap",
        ("apikeys/test_views.py::test_an_edit_changes_what_was_typed_and_keeps_the_rest",),
    ),
    "B6": Proof(
        "settings without a role",
        (
            "test_authorization.py::test_pages_of_an_organization_are_open_to_whom_their_action_says",
            "apikeys/test_views.py::test_a_viewer_sees_keys_but_no_way_to_change_them",
        ),
    ),
    "B8": Proof(
        "a cancelled command's reply goes to the next one",
        ("exerati/lib/test_batch.py::test_10000_random_cancels_give_nobody_a_foreign_value",),
    ),
    "B9": Proof(
        "a cache serves one user's page to another",
        (
            "exerati/test_private_pages.py::test_b9_what_a_visitor_with_a_session_sees_is_kept_by_no_cache",
            "exerati/test_private_pages.py::test_b9_pages_of_an_organization_are_kept_by_no_cache",
            "exerati/test_private_pages.py::test_b9_a_page_that_sets_a_cookie_is_kept_by_no_cache",
            "exerati/test_private_pages.py::test_b9_nothing_of_ours_keeps_pages_itself",
        ),
    ),
    "B10": Proof(
        "stored prompts read by others or after their time",
        (
            "gateway/test_stored_bodies.py::test_only_some_roles_read_a_body_and_only_the_organizations_own",
            "gateway/test_stored_bodies.py::test_body_is_unreadable_after_its_time_and_then_gone",
        ),
    ),
    "B12": Proof(
        "the last owner, a demoted admin",
        (
            "accounts/test_services.py::test_the_last_owner_can_neither_leave_nor_step_down",
            "accounts/test_services.py::test_two_owners_who_leave_at_once_leave_one_owner",
            "accounts/test_team_pages.py::test_the_last_owner_cannot_leave",
            "accounts/test_team_pages.py::test_b12_an_admin_who_is_demoted_or_removed_has_lost_the_right_at_the_next_request",
        ),
    ),
    "B13": Proof(
        "labels that choose a payer",
        (
            "gateway/test_call_tags.py::test_tags_of_header_and_metadata_are_stored_on_the_event_and_change_nothing_else",
        ),
    ),
    "C1": Proof(
        "thousands of calls on a cap that affords few",
        (
            "journeys/test_budget_holds.py::test_500_calls_at_once_on_a_key_that_affords_50_spend_exactly_its_budget",
            "journeys/test_two_thousand_streams.py::test_two_thousand_streams_use_one_cap_up_and_never_pass_it",
        ),
    ),
    "C3": Proof(
        "a rich account skips the reservation",
        (
            "gateway/test_one_path.py::test_no_route_reaches_a_provider_beyond_budget_scope_and_limits",
        ),
    ),
    "C4": Proof(
        "an estimate larger than the room",
        ("billing/test_reserve.py::test_refusal_names_scope_period_and_numbers_and_holds_nothing",),
    ),
    "C5": Proof(
        "clients that leave at each moment",
        (
            "gateway/test_disconnect.py::test_clients_that_leave_at_random_moments_are_each_settled_once",
            "gateway/test_outcomes.py::test_client_that_leaves_just_before_the_usage_chunk_pays_by_count",
        ),
    ),
    "C6": Proof(
        "usage forbidden or left out",
        (
            "gateway/test_streams.py::test_usage_comes_only_when_asked_for_though_we_always_ask",
            "gateway/test_outcomes.py::test_answer_without_usage_is_counted",
        ),
    ),
    "C7": Proof(
        "usage on odd frames, twice, cumulative",
        (
            "gateway/test_outcomes.py::test_usage_on_an_odd_frame_or_many_times_counts_once_and_the_last_one_holds",
            "gateway/upstream_faults/test_matrix.py::test_every_fault_at_every_moment_is_told_billed_and_left_behind",
        ),
    ),
    "C8": Proof(
        "absurd usage",
        (
            "gateway/test_outcomes.py::test_absurd_usage_is_held_between_nothing_and_what_was_reserved",
        ),
    ),
    "C9": Proof(
        "a forged request id",
        (
            "gateway/test_urls.py::test_id_of_the_client_is_kept_but_never_used_as_ours",
            "gateway/test_idempotency.py::test_another_key_has_names_of_its_own",
        ),
    ),
    "C10": Proof(
        "one Idempotency-Key: running, ended, another body, another tenant",
        (
            "gateway/test_idempotency.py::test_a_request_that_comes_while_the_first_is_running_gets_its_answer",
            "gateway/test_idempotency.py::test_another_body_under_the_same_name_is_refused",
        ),
    ),
    "C11": Proof(
        "a model without a price, a price that changes",
        (
            "gateway/test_models.py::test_price_missing_for_a_model_means_neither_listed_nor_served",
            "gateway/test_models.py::test_new_price_holds_for_the_next_call_without_a_restart",
        ),
    ),
    "C12": Proof(
        "a call given up while the provider goes on",
        ("gateway/test_disconnect.py::test_provider_is_cancelled_soon_after_the_client_has_left",),
    ),
    "C14": Proof(
        "settled twice, after the sweep, by a process that was away",
        (
            "journeys/test_gateway_killed.py::test_streams_of_a_killed_process_are_settled_by_another",
        ),
    ),
    "C15": Proof(
        "the month ends, a cap changes while a call runs",
        (
            "billing/test_cap_changes.py::test_new_period_begins_empty_and_old_calls_settle_into_the_old_one",
            "billing/test_cap_changes.py::test_raised_cap_admits_and_lowered_cap_only_stops_new_calls",
        ),
    ),
    "C17": Proof(
        "a charge for our fault, a refusal, an empty answer",
        (
            "gateway/test_settlement.py::test_policy",
            "gateway/upstream_faults/test_matrix.py::test_every_fault_at_every_moment_is_told_billed_and_left_behind",
        ),
    ),
    "D2": Proof(
        "n, best_of",
        (
            "gateway/test_upper_bound.py::test_no_usage_within_the_protocol_costs_more_than_its_bound",
            "gateway/test_attacks.py::test_d2_d4_d10_what_would_cost_without_a_bound_is_refused_or_bounded",
        ),
    ),
    "D4": Proof(
        "server tools",
        (
            "gateway/test_parameters.py::test_what_nobody_prices_is_refused_by_name",
            "gateway/test_attacks.py::test_d2_d4_d10_what_would_cost_without_a_bound_is_refused_or_bounded",
        ),
    ),
    "D5": Proof(
        "reasoning effort, hidden tokens",
        (
            "gateway/test_upper_bound.py::test_no_usage_within_the_protocol_costs_more_than_its_bound",
            "gateway/test_parameters.py::test_what_makes_tokens_changes_the_bound",
        ),
    ),
    "D6": Proof(
        "predicted output",
        (
            "gateway/test_tokens.py::test_a_prediction_counts_as_output_too",
            "gateway/test_bills.py::test_a_prediction_is_never_sent_with_less_room_than_was_reserved",
        ),
    ),
    "D8": Proof(
        "thresholds of long prompts",
        (
            "gateway/test_upper_bound.py::test_no_usage_within_the_protocol_costs_more_than_its_bound",
            "gateway/test_bills.py::test_the_tier_that_served_is_charged_and_the_dearer_one_reserved",
        ),
    ),
    "D9": Proof(
        "images, audio, documents, links",
        (
            "gateway/test_media_bounds.py::test_an_image_has_the_most_tokens_of_its_family_by_detail",
            "gateway/test_media_bounds.py::test_packed_audio_may_be_as_long_as_a_provider_takes",
            "gateway/test_media_bounds.py::test_a_document_may_fill_any_context_and_its_pages_are_images",
        ),
    ),
    "D10": Proof(
        "bombs of tools, schemas, stops",
        (
            "gateway/test_json_body.py::test_many_small_arrays_are_refused_before_they_fill_the_memory",
            "gateway/test_attacks.py::test_d2_d4_d10_what_would_cost_without_a_bound_is_refused_or_bounded",
        ),
    ),
    "D11": Proof(
        "an unknown parameter",
        ("gateway/test_parameters.py::test_what_nobody_knows_is_named_and_never_sent",),
    ),
    "D12": Proof(
        "a dearer model by alias or fallback",
        (
            "billing/test_fallback_models.py::test_bound_is_held_on_every_model_that_may_serve_and_posted_to_the_one_that_did",
            "gateway/test_routing.py::test_a_fallback_outside_the_keys_scope_is_refused_before_anything_is_sent",
        ),
    ),
    "D13": Proof(
        "a stolen key",
        (
            "billing/test_alerts.py::test_budget_that_refuses_calls_is_full",
            "billing/test_notification_pages.py::test_frozen_key_is_unfrozen_by_one_click",
        ),
    ),
    "D14": Proof(
        "farming of sign-ups, card testing",
        (
            "accounts/test_signup.py::test_d14_sign_ups_from_one_address_are_bounded_by_default",
            "accounts/test_signup.py::test_d14_one_sign_up_too_many_from_an_address_makes_no_account",
            "accounts/test_signup.py::test_d14_one_person_gets_one_trial_whatever_more_is_made_or_verified",
            "accounts/test_signup.py::test_the_code_signs_in_gives_trial_credit_and_leads_to_the_dashboard",
            "billing/test_topups.py::test_amounts_outside_the_limits_are_refused",
        ),
    ),
    "E1": Proof(
        "addresses of providers in body or headers",
        (
            "gateway/test_parameters.py::test_what_nobody_knows_is_named_and_never_sent",
            "gateway/test_auth.py::test_nothing_of_the_client_reaches_the_provider",
            "gateway/test_attacks.py::test_e1_addresses_and_credentials_in_a_body_go_nowhere",
            "gateway/test_attacks.py::test_e1_addresses_and_credentials_in_headers_go_nowhere",
        ),
    ),
    "E2": Proof(
        "links of customers fetched by us",
        ("gateway/test_images.py::test_edit_takes_addresses_in_json_and_never_fetches_them",),
    ),
    "E3": Proof(
        "a client's headers reach the provider",
        ("gateway/test_auth.py::test_nothing_of_the_client_reaches_the_provider",),
    ),
    "E4": Proof(
        "a provider's headers reach the customer",
        (
            "gateway/upstream_faults/test_matrix.py::test_every_fault_at_every_moment_is_told_billed_and_left_behind",
        ),
    ),
    "E5": Proof(
        "our key with a provider in errors and logs",
        (
            "gateway/test_provider_calls.py::test_no_secret_is_in_an_error_or_in_the_log",
            "gateway/upstream_faults/test_matrix.py::test_every_fault_at_every_moment_is_told_billed_and_left_behind",
        ),
    ),
    "E6": Proof(
        "a provider's error shown raw",
        (
            "gateway/upstream_faults/test_matrix.py::test_every_fault_at_every_moment_is_told_billed_and_left_behind",
            "gateway/test_errors.py::test_a_providers_words_about_our_account_are_not_repeated",
        ),
    ),
    "E7": Proof(
        "bombs, wrong lengths, a million headers, endless 1xx, redirects",
        (
            "gateway/upstream_faults/test_matrix.py::test_every_fault_at_every_moment_is_told_billed_and_left_behind",
            "gateway/test_client.py::test_interim_answers_without_end_are_given_up",
            "gateway/test_client.py::test_redirects_are_not_followed_nor_taken_for_answers",
        ),
    ),
    "E9": Proof(
        "resets, silence, refusals with every Retry-After",
        (
            "gateway/upstream_faults/test_matrix.py::test_every_fault_at_every_moment_is_told_billed_and_left_behind",
        ),
    ),
    "F1": Proof(
        "JSON: depth, size, numbers, repeated keys, encodings",
        (
            "gateway/test_json_body.py::test_what_two_readers_may_understand_differently_is_refused",
            "gateway/test_json_body.py::test_depth_is_limited_exactly",
            "gateway/test_urls.py::test_bodies_that_are_no_plain_json_object_are_refused",
            "gateway/test_fuzz.py::test_no_body_makes_the_gateway_fail_or_answer_otherwise_than_described",
        ),
    ),
    "F2": Proof(
        "odd characters in any text that is stored",
        (
            "gateway/test_json_body.py::test_what_two_readers_may_understand_differently_is_refused",
            "gateway/test_outcomes.py::test_odd_ids_of_the_provider_do_not_stop_the_settlement",
            "gateway/test_attacks.py::test_f2_odd_characters_are_stored_or_refused_but_break_nothing",
        ),
    ),
    "F3": Proof(
        "request smuggling",
        (
            "gateway/test_smuggling.py::test_what_may_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_answered",
            "gateway/test_smuggling.py::test_no_connection_is_upgraded",
        ),
    ),
    "F5": Proof(
        "slow headers, slow bodies, slow readers",
        (
            "gateway/test_slow_headers.py::test_headers_that_trickle_are_cut_off_in_total",
            "gateway/test_urls.py::test_body_that_comes_too_slowly_is_given_up",
            "gateway/test_slow_headers.py::test_many_that_send_slowly_are_dropped_and_hold_up_nobody",
            "gateway/test_slow_headers.py::test_body_that_goes_on_after_its_answer_ends_the_connection",
            "gateway/test_slow_headers.py::test_readers_that_stop_take_little_and_hold_up_nobody",
            "gateway/test_outcomes.py::test_reader_that_stops_reading_is_cut_and_charged_for_what_it_got",
        ),
    ),
    "F7": Proof(
        "regular expressions and wildcards in searches",
        (
            "apikeys/test_search_attacks.py::test_f7_wildcards_of_a_search_are_letters_like_others",
            "apikeys/test_search_attacks.py::test_f7_no_search_of_a_page_fails",
            "apikeys/test_search_attacks.py::test_f7_the_palette_takes_wildcards_for_letters",
            "apikeys/test_search_attacks.py::test_f7_a_pattern_of_many_stars_is_matched_at_once",
            "apikeys/test_search_attacks.py::test_f7_a_pattern_is_letters_and_stars_alone",
            "exerati/test_statement_limit.py::test_statement_of_a_page_is_ended_and_the_connection_goes_on",
        ),
    ),
    "F8": Proof(
        "huge pages, deep offsets, wide exports",
        ("billing/test_ledger_pages.py::test_csv_is_read_in_chunks",),
    ),
    "F9": Proof(
        "lines of the log made by a request",
        ("gateway/test_attacks.py::test_f9_nothing_of_a_request_makes_a_line_of_the_log",),
    ),
    "F10": Proof(
        "names of columns chosen by a user",
        ("billing/test_request_pages.py::test_view_that_means_nothing_is_not_saved",),
    ),
}
