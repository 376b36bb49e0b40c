//! Where pods wait and what moves them, with a simulated clock.

use super::*;
use crate::pod::PodReader;
use crate::testing::{PodBuilder, pod};
use stdx::Timestamp;

struct Fixture {
    queue: Queue,
    reader: PodReader,
}

impl Fixture {
    fn new() -> Self {
        let clock = Clock::simulated(Timestamp::UNIX_EPOCH);
        Self {
            queue: Queue::new(&Config::default(), clock),
            reader: PodReader::default(),
        }
    }

    fn read(&mut self, pod: PodBuilder) -> Arc<PodInfo> {
        Arc::new(self.reader.read(&pod.build()).unwrap())
    }

    fn add(&mut self, pod: PodBuilder) {
        let pod = self.read(pod);
        let gated = !pod.gates.is_empty();
        self.queue.add(pod, gated);
    }

    fn pop(&mut self) -> Option<String> {
        self.queue.pop().map(|pod| pod.name().to_owned())
    }

    /// Active, backing off, unschedulable, gated.
    fn pending(&self) -> (usize, usize, usize, usize) {
        let pending = self.queue.pending();
        (
            pending.active,
            pending.backoff,
            pending.unschedulable,
            pending.gated,
        )
    }
}

fn plugins(numbers: &[usize]) -> PluginSet {
    let mut set = PluginSet::default();
    numbers.iter().for_each(|number| set.insert(*number));
    set
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn higher_priority_then_longer_wait() {
    let mut fixture = Fixture::new();
    fixture.add(pod("low").priority(-1));
    fixture.add(pod("first"));
    pass(1).await;
    fixture.add(pod("second"));
    fixture.add(pod("high").priority(10));
    let order: Vec<_> = std::iter::from_fn(|| fixture.pop()).collect();
    assert_eq!(order, ["high", "first", "second", "low"]);
    assert!(fixture.queue.is_in_flight("uid-high"));
}

#[tokio::test(start_paused = true)]
async fn an_event_moves_the_pods_that_it_may_help() {
    let mut fixture = Fixture::new();
    for (name, by) in [
        ("a", plugins(&[1])),
        ("b", plugins(&[2])),
        ("c", plugins(&[1, 2])),
    ] {
        fixture.add(pod(name));
        fixture.pop();
        fixture.queue.rejected(&format!("uid-{name}"), by);
    }
    assert_eq!(fixture.pending(), (0, 0, 3, 0));
    fixture.queue.move_helped(plugins(&[3]), |_, _| true);
    fixture.queue.move_helped(plugins(&[1]), |_, _| false);
    assert_eq!(fixture.pending(), (0, 0, 3, 0));
    fixture
        .queue
        .move_helped(plugins(&[1]), |pod, _| pod.name() == "c");
    assert_eq!(fixture.pending(), (0, 1, 2, 0));
    // Nothing else is to be done, so the back-off is not waited for.
    assert_eq!(fixture.pop().as_deref(), Some("c"));
    pass(3).await;
    fixture.queue.move_helped(plugins(&[2]), |_, _| true);
    assert_eq!(
        fixture.pending(),
        (1, 0, 1, 0),
        "b has backed off long enough"
    );
    assert!(!fixture.queue.any_rejected_by(plugins(&[2])));
}

#[tokio::test(start_paused = true)]
async fn back_off_doubles_up_to_a_limit() {
    let mut fixture = Fixture::new();
    fixture.add(pod("a"));
    for want in [1, 2, 4, 8, 10, 10] {
        // Begin in the middle of a window.
        tokio::time::advance(Duration::from_millis(20_500)).await;
        assert_eq!(fixture.pop().as_deref(), Some("a"));
        fixture.queue.failed("uid-a");
        let began = fixture.queue.clock.now();
        let until = fixture.queue.next_wakeup().unwrap();
        let waits = until - aligned(began);
        assert_eq!(waits, Duration::from_secs(want + 1));
        assert_eq!(fixture.pop(), None, "errors are waited out");
        tokio::time::advance((until - began) - Duration::from_millis(1)).await;
        assert_eq!(fixture.pop(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        fixture.queue.flush();
        assert_eq!(fixture.pending(), (1, 0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_event_for_ever() {
    let mut fixture = Fixture::new();
    fixture.add(pod("a"));
    fixture.pop();
    fixture.queue.rejected("uid-a", plugins(&[1]));
    pass(299).await;
    assert_eq!(fixture.pop(), None);
    assert!(fixture.queue.next_wakeup().is_some());
    pass(31).await;
    assert_eq!(fixture.pop().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn gated_pods_wait_for_their_gates() {
    let mut fixture = Fixture::new();
    fixture.add(pod("a").gate("g"));
    assert_eq!(fixture.pending(), (0, 0, 0, 1));
    assert_eq!(fixture.pop(), None);
    assert_eq!(fixture.queue.next_wakeup(), None);
    let gated = fixture.read(pod("a").gate("g").label("x", "y"));
    fixture.queue.update(gated, true, |_| true);
    assert_eq!(fixture.pending(), (0, 0, 0, 1));
    let free = fixture.read(pod("a"));
    fixture.queue.update(free, false, |_| false);
    assert_eq!(fixture.pop().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn updates_keep_the_place_unless_they_help() {
    let mut fixture = Fixture::new();
    fixture.add(pod("new"));
    let changed = fixture.read(pod("new").label("x", "y"));
    fixture.queue.update(changed, false, |_| unreachable!());
    assert_eq!(fixture.pending(), (1, 0, 0, 0));
    fixture.pop();
    let changed = fixture.read(pod("new").label("x", "z"));
    fixture.queue.update(changed, false, |_| unreachable!());
    assert!(fixture.queue.is_in_flight("uid-new"));
    fixture.queue.rejected("uid-new", plugins(&[1]));
    let changed = fixture.read(pod("new").label("x", "v"));
    fixture.queue.update(Arc::clone(&changed), false, |_| false);
    assert_eq!(fixture.pending(), (0, 0, 1, 0));
    fixture
        .queue
        .update(changed, false, |by| by == plugins(&[1]));
    assert_eq!(fixture.pending(), (0, 1, 0, 0));
    assert_eq!(
        fixture.queue.get("uid-new").unwrap().labels().get("x"),
        Some("v")
    );
    fixture.queue.remove("uid-new");
    assert_eq!(fixture.pending(), (0, 0, 0, 0));
}
