//! A file of tests and the cluster that they share.

use crate::bounds::Running;
use crate::cluster::{Cluster, Options};
use crate::report;
use crate::scope::Scope;
use libtest_mimic::{Arguments, Failed, Trial};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// Tests mostly wait, so more of them than processors run at once.
const THREADS: usize = 6;

type Shared = Arc<Mutex<Option<Arc<Cluster>>>>;

/// Runs a file's tests: those that share a cluster, and those that have their own.
pub fn suite(shared: &[(&'static str, fn(&Scope))], own: &[(&'static str, fn())]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let cluster = Shared::default();
    let trials = shared
        .iter()
        .map(|&(name, test)| {
            let cluster = cluster.clone();
            Trial::test(name, move || in_namespace(&cluster, name, test))
        })
        .chain(own.iter().map(|&(name, test)| {
            Trial::test(name, move || {
                let _running = Running::begin(name);
                catch_unwind(test).map_err(|panic| Failed::from(words_of(&*panic)))
            })
        }))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let left = end(&cluster);
    match (conclusion.has_failed(), left) {
        (false, true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn in_namespace(shared: &Shared, name: &str, test: fn(&Scope)) -> Result<(), Failed> {
    let cluster = cluster_of(shared)?;
    let _running = Running::begin(name);
    let namespace = name.replace('_', "-");
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let scope = Scope::new(cluster.clone(), &namespace);
        test(&scope);
        scope
    }));
    match outcome {
        Ok(scope) => {
            scope.cluster.kubectl().run(&format!(
                "delete namespace {namespace} --wait=false --ignore-not-found"
            ));
            Ok(())
        }
        Err(panic) => {
            let state = report::of(&cluster, Some(&namespace));
            Err(Failed::from(format!("{}\n{state}", words_of(&*panic))))
        }
    }
}

fn cluster_of(shared: &Shared) -> Result<Arc<Cluster>, Failed> {
    let mut shared = shared.lock().map_err(|_| "the cluster did not start")?;
    let cluster = shared.get_or_insert_with(|| Arc::new(Cluster::start(Options::default())));
    Ok(cluster.clone())
}

/// Ends the shared cluster; whether it left nothing.
fn end(shared: &Shared) -> bool {
    let cluster = shared.lock().ok().and_then(|mut shared| shared.take());
    let Some(cluster) = cluster.and_then(Arc::into_inner) else {
        return true;
    };
    let left = cluster.end();
    for line in &left {
        eprintln!("left behind: {line}");
    }
    left.is_empty()
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
        .to_string()
}
