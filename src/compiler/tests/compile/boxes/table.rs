//! The boxes of the language, and the tests that hold each.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A box and the names of its tests.
type Held = (&'static str, &'static str);

const FILES: &[Held] = &[
    ("version: 2, 2.0, 2.1", "version_is_2_or_2_0_or_2_1"),
    ("no version", "a_missing_version_is_taken_for_the_newest"),
    ("top keys, experimental.notify, keys of orbs", "every_top_key_is_known"),
    ("unknown top keys", "unknown_top_keys_are_nobodys_business"),
    ("anchors, aliases, merge keys and lists of them", "anchors_aliases_and_merge_keys_work"),
    ("<< as a key and in values", "a_merge_key_is_none_of_the_values"),
    ("no workflows", "without_workflows_the_job_build_is_the_workflow_named_workflow"),
    ("names of commands and executors", "commands_and_executors_have_names_of_small_letters"),
    ("names of jobs", "jobs_have_names_of_letters_digits_and_blanks"),
    ("names of parameters", "parameters_have_names_that_begin_with_a_letter"),
    ("names in inline orbs", "inline_orbs_keep_to_the_same_names"),
    ("booleans of YAML 1.1", "booleans_may_be_spelled_as_in_yaml_1_1"),
    ("order of the stages", "pipeline_parameters_choose_a_version_before_orbs_are_loaded"),
    ("duplicate keys", "duplicate_keys_are_warned_about_and_the_last_wins"),
    ("alias bombs", "alias_bombs_are_refused"),
];

const PARAMETERS: &[Held] = &[
    ("string", "a_string_takes_text_and_numbers"),
    ("boolean", "a_boolean_takes_true_and_false"),
    ("integer", "an_integer_takes_whole_numbers"),
    ("enum", "an_enum_takes_its_members"),
    ("executor", "an_executor_takes_a_name_or_a_map_with_its_arguments"),
    ("steps", "steps_take_a_list_that_may_be_empty"),
    ("env_var_name", "an_env_var_name_is_a_posix_name"),
    ("pipeline parameters", "pipeline_parameters_are_simple_and_have_defaults"),
    ("pipeline parameters: limits", "a_pipeline_has_a_hundred_parameters_of_modest_length"),
    ("no default", "what_has_no_default_is_required"),
    ("unknown argument", "unknown_arguments_are_unexpected"),
    ("undeclared reference", "undeclared_references_are_said"),
    ("reserved names", "names_that_workflows_take_are_reserved"),
    ("lexical scope", "a_command_sees_its_own_parameters_only"),
    ("scope of orbs", "what_an_orb_cannot_see_is_said"),
    ("escapes", "an_escaped_reference_stays_text"),
    ("here-documents", "escapes_and_here_documents_stay"),
    ("types of references", "a_value_that_is_one_reference_keeps_its_type_and_others_become_text"),
    ("empty pipeline values", "an_empty_pipeline_value_is_an_empty_text"),
    ("where references stand", "references_stand_wherever_a_value_does"),
    ("steps: a parameter", "a_list_of_steps_may_be_an_item_of_another"),
    ("when: steps as a parameter", "steps_of_a_condition_may_be_a_parameter"),
    ("mustache sections", "mustache_sections_are_kept_or_left_out"),
];

const JOBS: &[Held] = &[
    ("one platform", "a_job_runs_on_exactly_one_platform"),
    ("job keys", "every_job_key_is_known"),
    ("branches", "branches_of_a_job_without_workflows_are_its_filters"),
    ("retention", "retention_keeps_caches_for_1_to_15_days"),
    ("job over executor", "a_job_overrides_its_executor_and_environments_merge"),
    ("executor keys", "an_executor_has_every_key"),
    ("docker", "a_docker_image_has_every_key_and_the_first_is_the_primary_one"),
    ("machine", "a_machine_has_every_form"),
    ("macos", "macos_is_right_and_runs_elsewhere"),
    ("environment: map or list", "an_environment_is_a_map_a_list_of_maps_or_words"),
    ("environment: no $X", "variables_in_values_are_left_to_nobody"),
    ("environment: precedence", "later_variables_win_and_a_steps_own_win_over_all"),
    ("environment: BASH_ENV", "variables_reach_later_steps_through_bash_env"),
    ("contexts", "contexts_reach_the_jobs_that_name_them_and_a_missing_one_is_said"),
];

const STEPS: &[Held] = &[
    ("run", "run_has_every_key_and_a_short_form"),
    ("run: name", "a_run_is_called_by_its_first_line"),
    ("run: no_output_timeout", "no_output_timeout_has_decimals_and_units"),
    ("run: when", "when_of_a_step_is_one_of_three_words"),
    ("run: background", "a_background_step_runs_beside_the_others_and_ends_with_the_job"),
    ("run: shell", "the_shell_ends_at_the_first_failure_also_in_a_pipe"),
    ("checkout", "checkout_is_a_word_or_a_map"),
    ("setup_remote_docker", "setup_remote_docker_has_its_keys"),
    ("save_cache", "save_cache_has_its_keys_and_name"),
    ("save_cache: a key that never changes", "a_cache_key_that_never_changes_is_worth_a_warning"),
    ("save_cache: a saved key", "a_saved_key_never_changes"),
    ("restore_cache", "restore_cache_takes_a_key_or_keys"),
    ("restore_cache: prefixes", "a_cache_is_saved_once_and_found_by_its_key_or_the_newest_prefix"),
    ("restore_cache: a miss", "a_miss_is_said_and_is_no_failure"),
    ("cache keys: checksum", "a_checksum_is_base64_of_the_sha_256"),
    ("store_artifacts", "store_artifacts_has_a_path_and_a_destination_and_runs_after_failures"),
    ("store_test_results", "store_test_results_has_a_path_and_runs_after_failures"),
    ("persist_to_workspace", "persist_to_workspace_has_a_root_and_paths"),
    ("attach_workspace", "attach_workspace_has_a_place"),
    ("workspaces: layers", "layers_of_all_jobs_upstream_come_in_their_order"),
    ("add_ssh_keys", "add_ssh_keys_has_fingerprints"),
    ("deploy", "deploy_is_run_by_another_name"),
    ("when, unless", "when_and_unless_hold_steps_behind_a_condition"),
    ("steps that never run", "steps_that_never_run_are_worth_a_warning"),
    ("a named command", "a_named_command_takes_its_arguments"),
    ("nested commands", "commands_nest_with_lexical_parameters"),
    ("shadowed built-in steps", "a_command_may_shadow_a_built_in_step"),
    ("did you mean", "an_unknown_step_is_offered_the_nearest_name"),
    ("after a failure", "a_failure_skips_what_wants_success_and_runs_the_rest"),
    ("processed steps", "processed_steps_have_their_keys_in_order_of_the_alphabet"),
];

const WORKFLOWS: &[Held] = &[
    ("workflow keys", "every_workflow_key_is_known"),
    ("keys of a job", "every_key_of_a_workflows_job_is_known"),
    ("names", "a_workflow_may_have_any_name"),
    ("requires with statuses", "requires_takes_names_and_statuses"),
    ("cycles", "jobs_that_wait_for_one_another_are_said"),
    ("filters: branches", "branch_filters_choose_by_names_and_whole_patterns"),
    ("filters: tags", "jobs_run_on_tags_only_where_a_filter_says_so"),
    ("filters: expressions", "filters_may_be_an_expression"),
    ("filtered requirements", "what_requires_only_what_is_filtered_out_does_not_run"),
    ("matrix, exclude", "a_matrix_makes_a_copy_of_each_combination_but_the_excluded"),
    ("matrix: alias", "a_matrix_has_an_alias_that_means_all_copies"),
    ("matrix: << matrix.x >>", "matrix_values_stand_in_names_and_requirements"),
    ("repeated jobs", "repeated_jobs_are_numbered"),
    ("types of jobs", "every_type_of_job_is_known"),
    ("approval", "a_job_holds_what_requires_it_until_somebody_approves_it"),
    ("approval: at most 90 days", "an_approval_that_nobody_gave_for_ninety_days_ends_as_canceled"),
    ("reruns", "a_whole_workflow_or_single_jobs_run_again"),
    ("reruns: by themselves", "a_workflow_that_fails_runs_again_by_itself_as_often_as_it_says"),
    ("serial-group", "a_serial_group_is_made_of_letters_digits_and_a_few_signs"),
    ("serial-group: one at a time", "one_job_of_a_group_runs_at_a_time_over_all_projects_and_restarts"),
    ("serial-group: older pipelines", "an_older_pipeline_of_the_same_project_is_skipped_with_the_reason"),
    ("serial-group: at most 5 hours", "who_waits_for_five_hours_waits_no_more"),
    ("lock, unlock", "lock_and_unlock_jobs_name_the_group_that_they_are_for"),
    ("lock, unlock: how long", "a_lock_is_kept_until_its_unlock_and_whatever_waits_inside_of_it_goes_on"),
    ("release", "a_release_names_its_plan_and_has_no_steps"),
    ("release: statuses, filters", "a_release_may_be_named_filtered_and_required_with_statuses"),
    ("release: both ends", "a_release_that_failed_fails_its_workflow_and_one_that_succeeded_lets_it_go_on"),
    ("job-groups", "a_job_group_is_used_like_a_job"),
    ("job-groups: serial-group", "a_group_of_jobs_has_its_turn_until_the_last_of_them_is_over"),
    ("override-with", "a_job_may_be_overridden_by_an_orbs"),
    ("pre-steps, post-steps", "steps_stand_before_and_after_a_jobs_own"),
    ("triggers", "a_schedule_has_a_time_and_branches"),
    ("max_auto_reruns", "auto_reruns_are_1_to_5"),
    ("when, unless", "conditions_of_workflows_are_logic_or_expressions"),
    ("setup", "a_setup_configuration_runs_one_workflow"),
];

const CONDITIONS: &[Held] = &[
    ("and, or, not", "logic_joins_values"),
    ("equal", "logic_compares_values_of_one_type"),
    ("matches", "logic_matches_whole_texts"),
    ("true and false values", "values_are_true_or_false_by_themselves"),
    ("texts are true", "a_text_is_true_unless_it_asks_something_of_the_pipeline"),
    ("depth", "logic_nests_deep_and_is_stopped_before_it_is_too_deep"),
    ("expressions: and, or, not", "not_binds_tightest_and_and_before_or"),
    ("expressions: ==, !=", "values_of_two_types_are_never_equal"),
    ("expressions: <, <=, >, >=", "numbers_are_ordered_and_nothing_else"),
    ("expressions: starts-with, contains, matches", "texts_are_looked_into_and_nothing_else"),
    ("expressions: short circuit", "what_decides_nothing_is_not_looked_at"),
    ("expressions: optional names", "a_name_may_be_unknown_only_with_a_question_mark"),
    ("expressions: mistakes", "what_is_no_expression_is_said_at_its_place"),
    ("patterns: Java's, whole", "patterns_are_written_as_for_java"),
    ("patterns that cannot be", "a_pattern_that_cannot_be_is_refused_with_a_reason"),
    ("pipeline values: names", "every_pipeline_value_is_known"),
    ("pipeline values: values", "pipeline_values_are_what_is_known_of_the_pipeline"),
    ("pipeline values: not there", "values_that_are_not_there_are_false"),
];

const ORBS: &[Held] = &[
    ("@1.2.3, @1.2, @1, @volatile, @dev:x", "a_reference_resolves_to_the_newest_version_that_fits"),
    ("URL orbs", "an_orb_may_be_named_by_an_address_that_is_allowed"),
    ("URL orbs: allow-list", "only_what_begins_as_allowed_is_fetched"),
    ("inline orbs, nested", "inline_orbs_may_nest"),
    ("inline orbs: scope", "inline_orbs_have_a_scope_of_their_own"),
    ("processed: comments", "a_processed_configuration_ends_with_its_original_in_comments"),
    ("missing orbs", "an_orb_that_is_not_at_hand_is_an_error_that_says_how_to_get_it"),
    ("pack", "folders_and_files_become_keys"),
    ("pack: include", "an_orbs_includes_are_filled_in_and_their_references_escaped"),
    ("pack: include of what is outside", "wrong_includes_are_refused"),
    ("publish: a folder", "a_published_version_stays_as_it_is"),
    ("publish: a control plane", "an_orb_is_published_once_it_is_right_and_its_version_stays_as_it_is"),
    ("pipelines that did not bring their orbs", "a_pipeline_finds_the_orbs_that_it_did_not_bring"),
];

const QUIRKS: &[Held] = &[
    ("restore-cache", "step_names_may_have_hyphens"),
    ("unknown keys of steps", "unknown_keys_of_steps_are_warned_about"),
    ("anchors defined again", "anchors_may_be_defined_again"),
    ("two merge keys", "one_map_may_have_two_merge_keys"),
    ("tabs", "a_tab_may_stand_in_a_plain_text_and_in_a_reference"),
    ("environment as a word", "an_environment_may_be_one_word"),
    ("anchors before the version", "whole_steps_may_be_anchors_that_stand_before_the_version"),
    ("requires: [<< matrix.x >>]", "a_requirement_may_be_a_matrix_value"),
    ("mustache in shells", "mustache_sections_stand_in_shells_and_take_pipeline_values"),
    ("conditions that are texts", "a_condition_may_be_any_text"),
    ("serial-group in a job", "a_serial_group_may_stand_in_a_job_and_in_a_workflow"),
    ("max_auto_reruns", "reruns_may_be_asked_for_by_steps_and_workflows"),
    ("orbs in inline orbs", "an_inline_orb_may_use_other_orbs"),
    ("steps from the workflow", "a_jobs_steps_may_all_come_from_its_workflow"),
    ("working_directory", "working_directories_are_of_every_system"),
    ("order of keys", "docker_need_not_be_the_first_key"),
    ("deploy", "deploy_is_an_old_name_of_run"),
    ("cache keys", "cache_keys_have_signs_of_branch_names"),
];

const BOXES: [&[Held]; 8] = [FILES, PARAMETERS, JOBS, STEPS, WORKFLOWS, CONDITIONS, ORBS, QUIRKS];

/// All Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of all tests: functions, and cases of the macros that make one of each.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut files);
    let named = |line: &str| {
        let line = line.trim();
        let of_function = || Some(line.split_once("fn ")?.1.split_once('(')?.0.to_owned());
        let of_case =
            || line.split_once(": r#\"").or_else(|| line.split_once(": \"")).map(|(name, _)| name.to_owned());
        of_function().or_else(of_case)
    };
    let text = |file: &PathBuf| fs::read_to_string(file).expect("a source is text");
    files.iter().flat_map(|file| text(file).lines().filter_map(named).collect::<Vec<_>>()).collect()
}

#[test]
fn every_box_of_the_language_has_a_test() {
    let tests = tests();
    let boxes = BOXES.iter().copied().flatten();
    let missing: Vec<_> = boxes.filter(|(_, test)| !tests.contains(*test)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
