//! Trouble: clients, pods, disks and kills that a cluster has to outlive
//! without losing what it acknowledged and without leaking.

mod bombs;
mod clock;
mod damage;
mod disk;
mod doors;
mod idle;
mod load;
mod logs;
mod pods;
mod registries;
mod rogue;

use e2e::suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            ("deaf_containers_end", pods::deaf_containers_end),
            (
                "floods_of_logs_are_rotated",
                pods::floods_of_logs_are_rotated,
            ),
            (
                "fork_bombs_stay_in_their_limit",
                bombs::fork_bombs_stay_in_their_limit,
            ),
            ("many_execs_leave_nothing", pods::many_execs_leave_nothing),
            ("memory_bombs_are_killed", bombs::memory_bombs_are_killed),
            (
                "registries_harm_only_their_pods",
                registries::registries_harm_only_their_pods,
            ),
        ],
        &[
            ("a_crowd_comes_and_goes", pods::a_crowd_comes_and_goes),
            ("a_damaged_log_is_refused", damage::a_damaged_log_is_refused),
            (
                "a_deaf_watcher_harms_nobody",
                doors::a_deaf_watcher_harms_nobody,
            ),
            (
                "a_full_disk_is_said_and_survived",
                disk::a_full_disk_is_said_and_survived,
            ),
            ("a_server_dies_among_pods", pods::a_server_dies_among_pods),
            ("a_torn_log_is_cut", damage::a_torn_log_is_cut),
            ("an_idle_cluster_rests", idle::an_idle_cluster_rests),
            (
                "fork_bombs_stay_below_the_limit_of_their_node",
                bombs::fork_bombs_stay_below_the_limit_of_their_node,
            ),
            (
                "huge_logs_are_read_in_little_memory",
                logs::huge_logs_are_read_in_little_memory,
            ),
            ("idle_watches_cost_little", doors::idle_watches_cost_little),
            (
                "inodes_run_out_and_come_back",
                disk::inodes_run_out_and_come_back,
            ),
            (
                "jumps_of_the_clock_are_survived",
                clock::jumps_of_the_clock_are_survived,
            ),
            ("monitors_die_under_load", pods::monitors_die_under_load),
            (
                "nothing_acknowledged_is_lost",
                load::nothing_acknowledged_is_lost,
            ),
            ("rubbish_is_refused", doors::rubbish_is_refused),
            ("slow_clients_are_let_go", doors::slow_clients_are_let_go),
            ("too_much_is_refused", doors::too_much_is_refused),
            (
                "unreadable_keys_are_refused",
                damage::unreadable_keys_are_refused,
            ),
            (
                "vanished_clients_leave_nothing",
                doors::vanished_clients_leave_nothing,
            ),
        ],
    )
}
