//! Careful first steps: one call, then two, then four, as long as all succeed, so that a quota or a
//! broken template meets one refusal and not five hundred. Follows slowStartBatch in
//! pkg/controller/replicaset/replica_set.go.

use futures::future::join_all;

/// Makes up to `count` calls. Returns how many succeeded and the first failure.
pub(crate) async fn slow_start<F, E>(count: usize, call: impl Fn() -> F) -> (usize, Option<E>)
where
    F: Future<Output = Result<(), E>>,
{
    let mut succeeded = 0;
    let mut batch = 1.min(count);
    while batch > 0 {
        let outcomes = join_all((0..batch).map(|_| call())).await;
        let (done, failed): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        succeeded += done.len();
        if let Some(error) = failed.into_iter().find_map(Result::err) {
            return (succeeded, Some(error));
        }
        batch = (2 * batch).min(count - succeeded);
    }
    (succeeded, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn batches_double_until_one_fails() {
        let calls = AtomicUsize::new(0);
        let fail_from = |limit: usize| {
            calls.store(0, Ordering::Relaxed);
            let calls = &calls;
            slow_start(10, move || async move {
                if calls.fetch_add(1, Ordering::Relaxed) < limit {
                    Ok(())
                } else {
                    Err("no")
                }
            })
        };
        assert_eq!(fail_from(100).await, (10, None));
        assert_eq!(fail_from(0).await, (0, Some("no")));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(fail_from(2).await, (2, Some("no")));
        assert_eq!(calls.load(Ordering::Relaxed), 3);
        assert_eq!(
            slow_start(0, || async { Err::<(), _>("never called") }).await,
            (0, None)
        );
    }
}
