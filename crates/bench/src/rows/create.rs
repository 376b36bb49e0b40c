//! Writes that are on the disk when they are acknowledged.

use super::Row;
use crate::bench::{Bench, add_spent, millis};
use crate::figure::{Figure, Samples, Unit};
use crate::load::{self, Load};
use crate::objects::{config_map, namespace, post, remove_namespace};
use crate::server::Options;
use anyhow::Result;

const RATE: Figure = Figure::new(
    "durable create of a 1-KB ConfigMap, 256 in flight",
    Unit::PerSecond,
)
.kubernetes("2,300/s")
.at_least(22_000.0);
const SERVER: Figure =
    Figure::new("create, processor of the server for each", Unit::MicrosEach).at_most(45.0);
const CLIENT: Figure = Figure::new("create, processor of the client for each", Unit::MicrosEach);
const P99: Figure = Figure::new("create, p99", Unit::Millis);

const WARM_UP: usize = 2_000;
const COUNT: usize = 20_000;

pub const ROW: Row = Row {
    name: "create",
    own: false,
    figures: &[RATE, SERVER, CLIENT, P99],
    measure: |bench, samples| Box::pin(measure(bench, samples)),
};

async fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    let server = bench.server(Options::default()).await?;
    let mut connection = server.connect().await?;
    namespace(&mut connection, "bench-create").await?;
    for run in 0..=bench.runs(5) {
        let make = |number| {
            let name = format!("run-{run}-{number}");
            post(
                "/api/v1/namespaces/bench-create/configmaps",
                &config_map(&name, 1024),
            )
        };
        let load = Load {
            in_flight: 256,
            count: if run == 0 { WARM_UP } else { COUNT },
            make: &make,
            expect: b"{\"kind\":\"ConfigMap\"",
        };
        let outcome = load::run(&server, &bench.clock, &load).await?;
        if run > 0 {
            samples.add(&RATE, outcome.per_second());
            samples.add(&P99, millis(outcome.quantile(0.99)));
            add_spent(samples, &server, &outcome, &SERVER, &CLIENT);
        }
    }
    remove_namespace(&mut connection, "bench-create").await
}
