//! Starts controllers: each with a client under its own identity, all on shared caches.

use crate::context::{Context, Options};
use crate::{CONTROLLERS, Controller};
use client::Client;
use informer::{Factory, Metrics};
use std::sync::Arc;
use stdx::{Clock, Rng, Supervisor};

/// Everything that controllers are made from.
pub struct Manager {
    /// A client under an identity, such as `system:kube-controller-manager` or
    /// `system:serviceaccount:kube-system:deployment-controller`.
    pub clients: Box<dyn Fn(&str) -> Client + Send + Sync>,
    /// The clock.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// The owner of all tasks.
    pub supervisor: Supervisor,
    /// The counters of all queues.
    pub metrics: Metrics,
    /// Settings.
    pub options: Options,
}

impl Manager {
    /// Starts those controllers that `enabled` accepts by name. Returns the shared caches.
    pub fn start(self, enabled: impl Fn(&str) -> bool) -> Factory {
        let reader = (self.clients)("system:kube-controller-manager")
            .with_user_agent("kube-controller-manager/shared-informers");
        let factory = Factory::new(
            reader,
            self.clock.clone(),
            self.rng.fork(),
            self.supervisor.clone(),
        );
        let options = Arc::new(self.options);
        for controller in CONTROLLERS
            .iter()
            .filter(|controller| enabled(controller.name))
        {
            let context = Context {
                name: controller.name,
                client: client_of(&*self.clients, controller),
                factory: factory.clone(),
                clock: self.clock.clone(),
                rng: self.rng.fork(),
                supervisor: self.supervisor.clone(),
                metrics: self.metrics.clone(),
                options: Arc::clone(&options),
            };
            (controller.start)(&context);
            tracing::debug!(controller = controller.name, "started");
        }
        factory
    }
}

fn client_of(clients: &dyn Fn(&str) -> Client, controller: &Controller) -> Client {
    let identity = match controller.identity {
        user if user.starts_with("system:") => user.to_owned(),
        account => format!("system:serviceaccount:kube-system:{account}"),
    };
    // kubectl shows the part before the slash as the field manager.
    let agent = match controller.identity {
        user if user.starts_with("system:") => controller.name,
        account => account,
    };
    let agent = format!("kube-controller-manager/{agent}");
    clients(&identity).with_user_agent(&agent)
}
