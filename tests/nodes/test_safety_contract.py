"""The safety contract (docs/architecture.md), and for each of its points the tests that break when
the point does. Those of the arm bridge and its controller were seen to fail with the code broken on
purpose."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ARCHITECTURE = TESTS.parent / "docs" / "architecture.md"

CONTRACT: Mapping[str, str] = {
    "1 late commands move nothing": """
        nodes/test_arm_bridge.py::test_a_late_command_moves_nothing_and_is_counted
        nodes/test_arm_bridge.py::test_a_stream_that_stops_makes_it_hold
        control/test_commands.py::test_a_late_trajectory_is_refused
        control/test_arm_controller.py::test_a_trajectory_that_ended_is_not_late
        nodes/test_arm_bridge_process.py::test_an_arm_whose_commander_and_whose_safety_node_die_holds
        """,
    "1 malformed commands move nothing": """
        nodes/test_arm_bridge.py::test_a_malformed_command_moves_nothing_and_says_why
        control/test_commands.py::test_a_malformed_command_is_refused_in_words
        """,
    "2 limits on every command": """
        nodes/test_arm_bridge.py::test_goals_on_the_wire_keep_every_limit_whatever_is_asked
        control/test_limits.py::test_no_input_breaks_a_limit
        nodes/test_arm_events.py::TestArmEvents
        """,
    "3 activation from the present position": """
        nodes/test_arm_bridge.py::test_activation_holds_the_arm_where_it_is
        nodes/test_arm_bridge.py::test_an_arm_activated_again_stays_where_a_hand_has_put_it
        control/test_arm_controller.py::test_targets_are_joined_gently_then_followed
        control/test_arm_controller.py::test_what_is_asked_for_before_activation_moves_nothing_after_it
        """,
    "3 torque found on": """
        nodes/test_arm_bridge.py::test_torque_found_on_is_refused_until_it_is_adopted
        nodes/test_arm_bridge_process.py::test_after_a_kill_the_arm_stands_still_and_is_adopted_without_a_jerk
        nodes/test_arm_faults.py::test_adoption_after_a_lost_port_moves_no_joint
        nodes/test_arm_faults.py::test_an_arm_in_this_bridges_hands_cannot_be_adopted
        nodes/test_arm_driver.py::test_a_leader_that_is_held_in_the_air_is_not_dropped_by_adopting_it
        nodes/test_arm_driver.py::test_of_a_leader_left_floating_only_servos_that_hold_nothing_are_let_go
        """,
    "3 engagement": """
        control/test_teleoperation.py::test_it_engages_only_when_both_match_and_both_handles_are_squeezed
        control/test_teleoperation.py::test_a_leader_that_fails_ends_the_engagement_before_its_joint_states_are_stale
        nodes/test_teleop.py::test_the_whole_course_of_a_teleoperation
        """,
    "4 the e-stop latches": """
        nodes/test_arm_bridge.py::test_the_latched_e_stop_stops_it_until_the_reset
        nodes/test_arm_bridge.py::test_its_own_e_stop_latches
        control/test_e_stop.py::test_it_latches_with_its_first_cause
        control/test_arm_controller.py::test_an_own_e_stop_during_a_reset_stays_with_its_own_cause
        control/test_e_stop.py::test_an_arm_that_stops_while_the_reset_is_under_way_stops_all_again
        nodes/test_arm_bridge_in_model_time.py::test_an_e_stop_is_acknowledged_while_the_clock_stands_still
        """,
    "4 no heartbeat": """
        nodes/test_arm_bridge.py::test_no_heartbeat_means_hold_and_it_goes_on_when_there_is_one
        nodes/test_arm_bridge_process.py::test_an_arm_whose_commander_and_whose_safety_node_die_holds
        """,
    "4 one safety node, one bridge": """
        control/test_arm_controller.py::test_of_two_safety_nodes_none_lets_the_arm_move_or_resets_a_stop
        nodes/test_arm_bridge.py::test_two_safety_nodes_are_a_hold_until_one_of_them_has_ended
        nodes/test_safety.py::test_two_bridges_of_one_arm_stop_all_until_one_of_them_has_ended
        """,
    "4 acknowledgement": """
        nodes/test_safety.py::test_the_e_stop_succeeds_when_every_arm_has_acknowledged
        nodes/test_safety.py::test_an_arm_that_does_not_acknowledge_is_named
        control/test_e_stop.py::test_an_arm_that_is_gone_has_not_acknowledged
        """,
    "4 a new safety node resets nothing": """
        nodes/test_safety.py::test_an_arm_that_is_still_stopped_stops_a_safety_node_that_starts_anew
        control/test_arm_controller.py::test_a_safety_node_that_is_started_anew_does_not_end_the_stop
        """,
    "5 parking, and signals": """
        nodes/test_arm_bridge_process.py::test_a_process_waits_for_its_port_then_parks_on_signals
        nodes/test_arm_bridge_process.py::test_a_signal_while_a_service_parks_the_arm_lets_it_park_to_the_end
        nodes/test_arm_bridge.py::test_deactivation_parks_at_the_rest_pose_and_takes_the_torque_off
        control/test_arm_controller.py::test_parking_from_the_far_end_takes_no_more_than_8_s
        """,
    "5 never dropped": """
        nodes/test_arm_bridge.py::test_an_arm_in_e_stop_keeps_its_torque_at_the_end
        nodes/test_arm_bridge.py::test_an_arm_that_did_not_obey_on_its_way_to_rest_keeps_its_torque
        nodes/test_arm_faults.py::test_a_sick_arm_stops_on_its_way_to_rest_and_keeps_its_torque
        nodes/test_arm_faults.py::test_parking_goes_on_after_a_reboot_in_its_midst
        nodes/test_arm_faults.py::test_nobody_takes_over_an_arm_that_is_parking
        nodes/test_arm_driver.py::test_torque_goes_off_away_from_the_rest_pose_only_when_asked_twice
        nodes/test_arm_bridge.py::test_torque_goes_off_by_service_only_at_rest
        """,
    "5 time to park": """
        launch/test_launch_files.py::test_each_file_starts_four_bridges_that_have_time_to_park
        launch/test_launch_files.py::test_the_heartbeat_lasts_as_long_as_the_arms_may_park
        nodes/test_safety.py::test_it_beats_and_serves_until_the_followers_rest
        nodes/test_twin.py::test_the_twin_stays_while_a_port_is_open
        """,
    "6 failed reads": """
        nodes/test_arm_bridge.py::test_a_silent_servo_is_named_and_no_state_is_made_up
        nodes/test_arm_faults.py::test_a_silent_servo_is_named_shadow_or_not_and_the_arm_goes_on_when_it_answers
        nodes/test_arm_faults.py::test_two_servos_of_one_id_are_damage_and_not_silence
        nodes/test_arm_faults.py::test_a_lost_reply_is_told_within_two_cycles_and_disturbs_nothing
        """,
    "6 servos in error, or restarted": """
        nodes/test_arm_bridge.py::test_a_servo_in_hardware_error_is_named_rebooted_and_comes_back_gently
        nodes/test_arm_faults.py::test_a_shadow_in_hardware_error_stops_the_arm
        nodes/test_arm_faults.py::test_a_servo_that_restarted_stops_the_arm_until_it_is_brought_back
        nodes/test_arm_faults.py::test_joints_that_hold_keep_their_goals_while_another_is_brought_back
        nodes/test_arm_faults.py::test_after_a_brown_out_the_arm_is_held_where_it_has_sunk_to
        nodes/test_arm_faults.py::test_a_servo_that_is_still_hot_says_how_hot_and_is_not_rebooted
        """,
    "6 Bus Watchdog": """
        nodes/test_arm_bridge.py::test_activation_holds_the_arm_where_it_is
        nodes/test_arm_bridge.py::test_after_a_pause_of_the_bus_the_arm_is_held_anew_and_obeys
        nodes/test_arm_faults.py::test_one_tripped_watchdog_is_found_and_the_arm_is_held_anew_without_a_sag
        nodes/test_arm_bridge_process.py::test_after_a_kill_the_arm_stands_still_and_is_adopted_without_a_jerk
        """,
    "6 the port, and a slow bus": """
        nodes/test_arm_faults.py::test_a_port_that_is_back_waits_for_the_operator_and_is_adopted
        nodes/test_arm_faults.py::test_a_slow_bus_is_named_and_the_arm_goes_on_when_it_is_quick_again
        """,
    "7 stale streams": """
        control/test_teleoperation.py::test_stale_leaders_stop_the_targets_and_a_match_lets_them_go_on
        nodes/test_recorder.py::test_silent_streams_are_named_and_nothing_is_made
        """,
    "8 limp in the twin": """
        twin/test_world.py::test_an_arm_without_torque_falls_and_comes_to_rest
        twin/test_world.py::test_a_single_joint_without_torque_gives_way_while_the_others_hold
        """,
    "holds forget old commands": """
        control/test_arm_controller.py::test_a_trajectory_does_not_go_on_by_itself_after_a_hold
        control/test_arm_controller.py::test_after_the_reset_only_fresh_commands_count_and_they_are_joined
        """,
    "status": """
        nodes/test_arm_bridge_in_model_time.py::test_an_e_stop_is_acknowledged_while_the_clock_stands_still
        nodes/test_arm_bridge_in_model_time.py::test_a_clock_that_stands_still_is_told_and_old_commands_are_forgotten
        """,
    "the gesture": """
        control/test_teleoperation.py::test_handles_that_stay_closed_engage_nothing_until_opened
        """,
    "a leader's own e-stop": """
        control/test_arm_controller.py::test_a_leader_that_was_stopped_itself_says_so_until_the_reset
        """,
    "never half alive": """
        nodes/test_arm_bridge.py::test_a_cycle_that_fails_is_a_fault_and_ends_the_process
        nodes/test_arm_bridge.py::test_a_job_that_fails_is_answered_and_is_a_fault
        """,
    "leaders that are carried": """
        nodes/test_arm_float.py::test_unasked_it_pushes_with_nothing
        nodes/test_arm_float.py::test_asked_for_it_carries_its_weight_within_the_cap_and_leaves_the_gripper_limp
        nodes/test_arm_float.py::test_an_e_stop_takes_the_currents_away_until_it_is_asked_for_anew
        """,
}  # fmt: skip


def names_in(file: Path) -> set[str]:
    """What pytest finds in a file at its top level."""
    tree = ast.parse(file.read_text())
    targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
    made = {target.id for target in targets if isinstance(target, ast.Name)}
    return made | {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}


@pytest.mark.parametrize("point", CONTRACT)
def test_each_point_has_tests_that_are_there(point: str) -> None:
    named = CONTRACT[point].split()
    assert named
    for name in named:
        file, test = name.split("::")
        assert test in names_in(TESTS / file), name


def test_no_point_of_the_document_is_left_out() -> None:
    section = ARCHITECTURE.read_text().split("## Safety contract")[1].split("\n## ")[0]
    numbers = set(re.findall(r"^(\d+)\. ", section, re.MULTILINE))
    assert numbers
    assert {point.split()[0] for point in CONTRACT if point[0].isdigit()} == numbers
