//! Reading one object, many times at once.

use super::Row;
use crate::bench::{Bench, add_spent, millis};
use crate::figure::{Figure, Samples, Unit};
use crate::http2::Request;
use crate::load::{self, Load};
use crate::objects::{config_map, namespace, post, remove_namespace};
use crate::server::Options;
use anyhow::Result;

const RATE: Figure = Figure::new("GET, 256 in flight", Unit::PerSecond)
    .kubernetes("6,700/s")
    .at_least(50_000.0);
const SERVER: Figure =
    Figure::new("GET, processor of the server for each", Unit::MicrosEach).at_most(20.0);
const CLIENT: Figure = Figure::new("GET, processor of the client for each", Unit::MicrosEach);
const P99: Figure = Figure::new("GET, p99", Unit::Millis);

const WARM_UP: usize = 5_000;
const COUNT: usize = 60_000;

pub const ROW: Row = Row {
    name: "get",
    own: false,
    figures: &[RATE, SERVER, CLIENT, P99],
    measure: |bench, samples| Box::pin(measure(bench, samples)),
};

async fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    let server = bench.server(Options::default()).await?;
    let mut connection = server.connect().await?;
    namespace(&mut connection, "bench-get").await?;
    let path = "/api/v1/namespaces/bench-get/configmaps";
    connection
        .call(&post(path, &config_map("one", 1024)))
        .await?;
    let one = format!("{path}/one");
    let make = |_| Request::get(one.as_str());
    let load = |count| Load {
        in_flight: 256,
        count,
        make: &make,
        expect: b"{\"kind\":\"ConfigMap\"",
    };
    load::run(&server, &bench.clock, &load(WARM_UP)).await?;
    for _ in 0..bench.runs(5) {
        let outcome = load::run(&server, &bench.clock, &load(COUNT)).await?;
        samples.add(&RATE, outcome.per_second());
        samples.add(&P99, millis(outcome.quantile(0.99)));
        add_spent(samples, &server, &outcome, &SERVER, &CLIENT);
    }
    remove_namespace(&mut connection, "bench-get").await
}
