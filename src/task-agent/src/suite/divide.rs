//! Divides weighed tests over tasks: the heaviest first, each to the task with the least so far.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// Of each test, the task that it goes to. The order of the list counts only between tests of one name: whoever divides
/// the same tests comes to the same shares.
pub(crate) fn tasks(names: &[&str], weights: &[u64], total: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&one, &other| heavier(weights, one, other).then_with(|| names[one].cmp(names[other])));
    // Of tasks with the same load the one with fewer tests comes first: tests that weigh nothing are shared out too.
    let mut loads: BinaryHeap<_> = (0..total).map(|task| Reverse((0_u64, 0_usize, task))).collect();
    let mut tasks = vec![0; names.len()];
    for test in order {
        let Some(Reverse((load, count, task))) = loads.pop() else { break };
        tasks[test] = task;
        loads.push(Reverse((load.saturating_add(weights[test]), count + 1, task)));
    }
    tasks
}

fn heavier(weights: &[u64], one: usize, other: usize) -> Ordering {
    weights[other].cmp(&weights[one])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tests_of_one_weight_are_dealt_out_in_the_order_of_their_names() {
        let names = ["d", "a", "c", "b", "e"];
        assert_eq!(tasks(&names, &[1; 5], 2), [1, 0, 0, 1, 0]);
    }

    #[test]
    fn a_heavy_test_gets_a_task_to_itself() {
        assert_eq!(tasks(&["a", "b", "c", "d"], &[1, 9, 2, 3], 2), [1, 0, 1, 1]);
    }

    #[test]
    fn more_tasks_than_tests_leave_some_with_none() {
        assert_eq!(tasks(&["a", "b"], &[1, 1], 5), [0, 1]);
        assert!(tasks(&[], &[], 3).is_empty());
    }

    fn suite() -> impl Strategy<Value = (Vec<(String, u64)>, usize)> {
        (prop::collection::vec(("[a-e]{1,3}", 0..1000_u64), 0..60), 1..9_usize)
    }

    fn divided(tests: &[(String, u64)], total: usize) -> Vec<usize> {
        let names: Vec<&str> = tests.iter().map(|(name, _)| name.as_str()).collect();
        let weights: Vec<u64> = tests.iter().map(|(_, weight)| *weight).collect();
        tasks(&names, &weights, total)
    }

    proptest! {
        #[test]
        fn every_test_goes_to_one_task_whatever_order_the_list_has((tests, total) in suite(), seed: u64) {
            let shares = |tests: &[(String, u64)]| {
                let mut shares = vec![Vec::new(); total];
                for (test, task) in tests.iter().zip(divided(tests, total)) {
                    shares[task].push(test.clone());
                }
                shares.iter_mut().for_each(|share| share.sort());
                shares
            };
            let mut shuffled = tests.clone();
            shuffled.sort_by_key(|(name, weight)| (*weight ^ seed, name.clone()));
            prop_assert_eq!(shares(&tests), shares(&shuffled));
            let mut all = shares(&tests).concat();
            let mut expect = tests;
            all.sort();
            expect.sort();
            prop_assert_eq!(all, expect);
        }

        #[test]
        fn no_task_has_more_than_another_by_more_than_one_test((tests, total) in suite()) {
            let mut loads = vec![0; total];
            for ((_, weight), task) in tests.iter().zip(divided(&tests, total)) {
                loads[task] += weight;
            }
            let lightest = *loads.iter().min().unwrap();
            for (task, load) in loads.iter().enumerate() {
                let last = tests.iter().zip(divided(&tests, total)).filter(|(_, of)| *of == task);
                let last = last.map(|((_, weight), _)| *weight).min().unwrap_or(0);
                prop_assert!(load - last <= lightest, "{loads:?}");
            }
        }
    }
}
