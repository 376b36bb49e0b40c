//! The scheduler's core: events in, decisions out, and no I/O.
//!
//! Whoever drives it tells it what the API server's watches tell, asks it for
//! decisions, carries them out and tells how that went. It can therefore run
//! under a seed and in a benchmark without a server.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use stdx::{Clock, Instant, Rng};
use typed::api::apps::v1::ReplicaSet;
use typed::api::core::v1::{Namespace, Node, Pod, ReplicationController, Service};
use typed::{Labels as LabelMap, Typed};

use crate::cluster::Cluster;
use crate::config::{Config, ConfigError};
use crate::cycle::{Outcome, Search};
use crate::diagnosis::Diagnosis;
use crate::event::Event;
use crate::explain::{self, Explanation};
use crate::framework::{Framework, PluginSet};
use crate::labels::Labels;
use crate::node::NodeInfo;
use crate::pod::{PodError, PodInfo, PodReader};
use crate::preemption;
use crate::queue::{Pending, Queue};
use crate::resources::QuantityError;
use crate::selector::{Selector, SelectorError};

/// What is to be done with a pod.
#[derive(Debug)]
pub enum Decision {
    /// Bind it to the node. It counts there from now on, until
    /// [`Scheduler::bind_failed`] takes that back.
    Bind {
        /// The pod.
        pod: Arc<PodInfo>,
        /// The node's name.
        node: Arc<str>,
    },
    /// It fits nowhere; it is tried again when something happened that may help.
    Unschedulable {
        /// The pod.
        pod: Arc<PodInfo>,
        /// Why, in upstream's words.
        message: String,
        /// The plugins that rejected it.
        plugins: Vec<&'static str>,
    },
    /// It may not be tried yet.
    Gated {
        /// The pod.
        pod: Arc<PodInfo>,
        /// Why.
        message: String,
    },
    /// There is nothing to decide.
    Idle {
        /// When to ask again though no event came; never, if absent.
        wake_at: Option<Instant>,
    },
}

/// How attempts to place pods went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// A node was found.
    pub scheduled: u64,
    /// No node would do.
    pub unschedulable: u64,
    /// A node was found, but the binding was refused.
    pub error: u64,
}

/// The scheduler without its hands.
pub struct Scheduler {
    scheduler_name: String,
    percentage: u32,
    framework: Framework,
    cluster: Cluster,
    queue: Queue,
    search: Search,
    reader: PodReader,
    gated: VecDeque<(Arc<PodInfo>, String)>,
    rng: Rng,
    attempts: Attempts,
}

impl Scheduler {
    /// A scheduler that knows of nothing yet.
    pub fn new(config: &Config, clock: Clock, rng: Rng) -> Result<Self, ConfigError> {
        Ok(Self {
            scheduler_name: config.scheduler_name.clone(),
            percentage: config.percentage_of_nodes_to_score,
            framework: Framework::new(config)?,
            cluster: Cluster::new(config.hard_pod_affinity_weight),
            queue: Queue::new(config, clock),
            search: Search::default(),
            reader: PodReader::default(),
            gated: VecDeque::new(),
            rng,
            attempts: Attempts::default(),
        })
    }

    /// A node came. Also takes changes: a watch may deliver either.
    pub fn node_added(&mut self, node: &Node) -> Result<(), QuantityError> {
        self.node_updated(node)
    }

    /// A node changed.
    pub fn node_updated(&mut self, node: &Node) -> Result<(), QuantityError> {
        let new = NodeInfo::new(node)?;
        let known = self.cluster.find(new.name());
        if known.and_then(|id| self.cluster.node(id)) == Some(&new) {
            return Ok(());
        }
        let new = Arc::new(new);
        let old = self.cluster.set_node(Arc::clone(&new));
        self.announce(&Event::of_node(old.as_deref(), Some(&new)));
        Ok(())
    }

    /// A node left.
    pub fn node_deleted(&mut self, name: &str) {
        if let Some(old) = self.cluster.remove_node(name) {
            self.announce(&Event::of_node(Some(&old), None));
        }
    }

    /// A pod came. Also takes changes: a watch may deliver either.
    pub fn pod_added(&mut self, pod: &Pod) -> Result<(), PodError> {
        self.pod_updated(pod)
    }

    /// A pod changed.
    pub fn pod_updated(&mut self, pod: &Pod) -> Result<(), PodError> {
        let pod = self.reader.read(pod)?;
        self.pod_seen(Arc::new(pod));
        Ok(())
    }

    /// A pod came or changed that was read by this scheduler's reader.
    pub fn pod_seen(&mut self, pod: Arc<PodInfo>) {
        if pod.finished {
            self.pod_gone(&pod.uid);
        } else if pod.node_name.is_some() {
            self.pod_placed(pod);
        } else {
            self.pod_waits(pod);
        }
    }

    /// What reads pods for [`Scheduler::pod_seen`].
    pub fn reader(&self) -> PodReader {
        self.reader.clone()
    }

    /// A pod left.
    pub fn pod_deleted(&mut self, pod: &Pod) {
        match pod.uid() {
            "" => self.pod_gone(&pod.key()),
            uid => self.pod_gone(uid),
        }
    }

    /// A pod left, of which only the uid is known.
    pub fn pod_gone(&mut self, uid: &str) {
        self.queue.remove(uid);
        if let Some((old, _)) = self.cluster.remove_pod(uid) {
            self.announce(&Event::of_pod(Some(&old), None));
        }
    }

    /// A namespace came or changed.
    pub fn namespace_updated(&mut self, namespace: &Namespace) {
        let labels = Labels::from_map(namespace.metadata.labels.as_ref());
        if self.cluster.set_namespace(namespace.name(), Some(labels)) {
            self.announce(&Event::of_namespace());
        }
    }

    /// A namespace left.
    pub fn namespace_deleted(&mut self, name: &str) {
        self.cluster.set_namespace(name, None);
    }

    /// A service came or changed.
    pub fn service_updated(&mut self, service: &Service) {
        let selector = service
            .spec
            .as_ref()
            .and_then(|spec| spec.selector.as_ref());
        let workloads = &mut self.cluster.workloads;
        workloads.set_service(service.namespace(), service.name(), pairs(selector));
    }

    /// A service left.
    pub fn service_deleted(&mut self, namespace: &str, name: &str) {
        self.cluster.workloads.remove_service(namespace, name);
    }

    /// A replication controller came or changed.
    pub fn replication_controller_updated(&mut self, controller: &ReplicationController) {
        let spec = controller.spec.as_ref();
        let selector = spec.and_then(|spec| spec.selector.as_ref());
        let selector = Selector::from_pairs(pairs(selector));
        self.set_controller(controller, selector);
    }

    /// A replica set came or changed.
    pub fn replica_set_updated(&mut self, set: &ReplicaSet) -> Result<(), SelectorError> {
        let selector = Selector::compile(Some(&set.spec.selector))?;
        self.set_controller(set, selector);
        Ok(())
    }

    /// A replication controller or replica set left.
    pub fn controller_deleted(&mut self, kind: &str, namespace: &str, name: &str) {
        self.cluster
            .workloads
            .remove_controller(kind, namespace, name);
    }

    /// The next thing to do.
    pub fn next_decision(&mut self) -> Decision {
        if let Some((pod, message)) = self.gated.pop_front() {
            return Decision::Gated { pod, message };
        }
        while let Some(pod) = self.queue.pop() {
            let ours = *pod.scheduler_name == *self.scheduler_name;
            if pod.terminating || !ours || self.cluster.placed(&pod.uid).is_some() {
                self.queue.remove(&pod.uid);
                continue;
            }
            return self.decide(pod);
        }
        Decision::Idle {
            wake_at: self.queue.next_wakeup(),
        }
    }

    /// The API server took the binding.
    pub fn bind_confirmed(&mut self, uid: &str) {
        if self.queue.is_in_flight(uid) {
            self.queue.remove(uid);
        }
    }

    /// The API server refused the binding: the pod leaves the node and is tried
    /// again later.
    pub fn bind_failed(&mut self, uid: &str) {
        if !self
            .cluster
            .placed(uid)
            .is_some_and(|placed| placed.assumed)
        {
            return;
        }
        if let Some((pod, _)) = self.cluster.remove_pod(uid) {
            self.attempts.error += 1;
            self.queue.failed(uid);
            self.announce(&Event::of_pod(Some(&pod), None));
        }
    }

    /// What each plugin says of each node for a pod, whether or not the pod
    /// waits. Nothing is decided.
    pub fn explain(&mut self, pod: &Pod) -> Result<Explanation, PodError> {
        let pod = Arc::new(self.reader.read(pod)?);
        Ok(explain::explain(
            &mut self.framework,
            &mut self.cluster,
            &pod,
        ))
    }

    /// How attempts to place pods went so far.
    pub fn attempts(&self) -> Attempts {
        self.attempts
    }

    /// How many pods wait where.
    pub fn pending(&self) -> Pending {
        self.queue.pending()
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.cluster.node_count()
    }

    /// How many pods have their node, counting those that were just decided.
    pub fn placed_count(&self) -> usize {
        self.cluster.placed_count()
    }

    /// The node that a pod has, and whether the API server has yet to confirm it.
    pub fn node_of(&self, uid: &str) -> Option<(&str, bool)> {
        let placed = self.cluster.placed(uid)?;
        Some((self.cluster.name_of(placed.node), placed.assumed))
    }

    fn decide(&mut self, pod: Arc<PodInfo>) -> Decision {
        let Self {
            framework,
            cluster,
            rng,
            ..
        } = self;
        match self
            .search
            .run(framework, cluster, rng, self.percentage, &pod)
        {
            Outcome::Node(node) => {
                let node: Arc<str> = self.cluster.name_of(node).into();
                self.cluster.add_pod(Arc::clone(&pod), &node, true);
                self.attempts.scheduled += 1;
                Decision::Bind { pod, node }
            }
            Outcome::Unfit(diagnosis) => self.refuse(pod, &diagnosis),
            Outcome::NoNodes => {
                self.attempts.unschedulable += 1;
                // Upstream tries such a pod again and again; here it waits for
                // a node.
                self.queue.rejected(&pod.uid, PluginSet::NO_NODES);
                Decision::Unschedulable {
                    pod,
                    message: "no nodes available to schedule pods".into(),
                    plugins: Vec::new(),
                }
            }
        }
    }

    fn refuse(&mut self, pod: Arc<PodInfo>, diagnosis: &Diagnosis) -> Decision {
        self.attempts.unschedulable += 1;
        let mut message = diagnosis.message(&self.framework, &pod);
        let second = preemption::explain(&mut self.framework, &mut self.cluster, &pod, diagnosis);
        if let Some(second) = second {
            message.push(' ');
            message.push_str(&second);
        }
        self.queue.rejected(&pod.uid, diagnosis.plugins);
        Decision::Unschedulable {
            plugins: self.framework.names(diagnosis.plugins),
            pod,
            message,
        }
    }

    fn pod_placed(&mut self, pod: Arc<PodInfo>) {
        self.queue.remove(&pod.uid);
        let old = self
            .cluster
            .placed(&pod.uid)
            .filter(|placed| !placed.assumed);
        let old = old.map(|placed| Arc::clone(&placed.pod));
        if let Some(node) = pod.node_name.clone() {
            self.cluster.add_pod(Arc::clone(&pod), &node, false);
        }
        self.announce(&Event::of_pod(old.as_deref(), Some(&pod)));
    }

    fn pod_waits(&mut self, pod: Arc<PodInfo>) {
        if pod.terminating || *pod.scheduler_name != *self.scheduler_name {
            // A binding that is under way will be refused; the pod is dropped
            // when it comes back.
            if self.queue.is_in_flight(&pod.uid) {
                self.queue.update(pod, false, |_| false);
            } else {
                self.queue.remove(&pod.uid);
            }
            return;
        }
        let gate = self.framework.run_pre_enqueue(&pod);
        let gated = gate.is_some();
        match self.queue.get(&pod.uid).map(Arc::clone) {
            _ if self.cluster.placed(&pod.uid).is_some() => return,
            None => self.queue.add(Arc::clone(&pod), gated),
            Some(old) => {
                let (framework, cluster) = (&self.framework, &self.cluster);
                let event = Event::of_own(&old, &pod);
                let new = Arc::clone(&pod);
                self.queue.update(Arc::clone(&pod), gated, |rejected_by| {
                    framework.may_help(cluster, &new, rejected_by, &event)
                });
                if gated && !old.gates.is_empty() {
                    return;
                }
            }
        }
        if let Some(message) = gate {
            self.gated.push_back((pod, message));
        }
    }

    /// Lets an event move the pods that it may help.
    fn announce(&mut self, event: &Event<'_>) {
        if event.kinds.is_empty() {
            return;
        }
        let interested = self.framework.interested(event.kinds);
        let (framework, cluster) = (&self.framework, &self.cluster);
        self.queue.move_helped(interested, |pod, rejected_by| {
            framework.may_help(cluster, pod, rejected_by, event)
        });
    }

    fn set_controller<K: Typed>(&mut self, controller: &K, selector: Selector) {
        let (namespace, name) = (controller.namespace(), controller.name());
        self.cluster
            .workloads
            .set_controller(K::KIND, namespace, name, selector);
    }
}

fn pairs(map: Option<&LabelMap>) -> impl Iterator<Item = (&str, &str)> + Clone {
    static NONE: LabelMap = BTreeMap::new();
    let pairs = map.unwrap_or(&NONE).iter();
    pairs.map(|(key, value)| (key.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests;
