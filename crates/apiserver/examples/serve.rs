//! An API server over a store in memory, to try clients against: prints where
//! its kubeconfig is and serves until it is interrupted.

#[path = "../tests/it/cluster.rs"]
mod cluster;

#[tokio::main]
async fn main() {
    let cluster = cluster::Cluster::start().await;
    println!("{}", cluster.dir.path().join("kubeconfig").display());
    let _ = tokio::signal::ctrl_c().await;
}
