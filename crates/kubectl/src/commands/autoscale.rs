//! `autoscale`: an autoscaler for what runs already.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/autoscale/autoscale.go.

use crate::change::Write;
use crate::deriving::DeriveArgs;
use crate::error::{Error, Result, said};
use crate::io;
use crate::print::DryRun;
use crate::select::{Info, fetch_all};
use crate::shell::Shell;
use meta::quantity::Quantity;
use meta::{Value, value};

/// The arguments of `autoscale`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    derive: DeriveArgs,
    /// The lower limit for the number of pods; the server's default when it is negative.
    #[arg(long, default_value_t = -1)]
    min: i32,
    /// The upper limit for the number of pods.
    #[arg(long, default_value_t = -1, required = true)]
    max: i32,
    /// The target of average use of processors, in percent of what is requested.
    #[arg(long, default_value_t = -1)]
    cpu_percent: i32,
    /// The target of use of processors: 70% of what is requested, or 500m on average.
    #[arg(long, default_value = "")]
    cpu: String,
    /// The target of use of memory: 70% of what is requested, or 200Mi on average.
    #[arg(long, default_value = "")]
    memory: String,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-autoscale")]
    field_manager: String,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let metrics = checked(&args)?;
    let choice = args.derive.choice();
    let dry_run = args.derive.dry_run.get()?;
    let mut reporter = args.derive.print.reporter(dry_run)?;
    let infos = fetch_all(shell, &choice).await?;
    if infos.is_empty() {
        return said("no objects passed to autoscale");
    }
    for info in infos {
        let resource = &info.resource;
        if !resource.subresources.iter().any(|sub| sub == "scale") {
            return said(format!(
                "cannot autoscale a {}: could not find scale subresource for {}, Resource={} in discovery information",
                resource.kind,
                format!("{}/{}", resource.group, resource.version),
                resource.name
            ));
        }
        let made = autoscaler(shell, &args, &info, &metrics)?;
        if dry_run == DryRun::Client {
            reporter.report(&made, "created")?;
            continue;
        }
        let object = create(shell, &args, &args.derive.noted(made), dry_run).await?;
        reporter.report(&object, "autoscaled")?;
    }
    Ok(())
}

/// The metrics that the options ask for.
fn checked(args: &Args) -> Result<Vec<Value>> {
    if args.max < 1 {
        return said(format!(
            "--max=MAXPODS is required and must be at least 1, max: {}",
            args.max
        ));
    }
    if args.max < args.min {
        return said(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {}, min: {}",
            args.max, args.min
        ));
    }
    if args.cpu_percent > 0 && !args.cpu.is_empty() {
        return said("--cpu-percent and --cpu are mutually exclusive");
    }
    let mut metrics = Vec::new();
    if args.cpu_percent >= 0 {
        io::warn(
            "Flag --cpu-percent has been deprecated, Use --cpu with percentage or resource quantity format (e.g., '70%' for utilization or '500m' for milliCPU).",
        );
    }
    if args.cpu_percent > 0 {
        metrics.push(metric("cpu", utilization(i64::from(args.cpu_percent))));
    }
    for (name, text, unit) in [("cpu", &args.cpu, "m"), ("memory", &args.memory, "Mi")] {
        if !text.is_empty() {
            metrics.push(metric(name, target(text.trim(), unit)?));
        }
    }
    Ok(metrics)
}

fn metric(name: &str, target: Value) -> Value {
    value!({"type": "Resource", "resource": {"name": (name), "target": (target)}})
}

fn utilization(percent: i64) -> Value {
    value!({"type": "Utilization", "averageUtilization": (percent)})
}

/// `70%`, `500m`, or a bare number in the resource's usual unit.
fn target(text: &str, unit: &str) -> Result<Value> {
    if let Some(percent) = text.strip_suffix('%') {
        return match percent.parse::<i32>() {
            Ok(percent) if percent > 0 => Ok(utilization(i64::from(percent))),
            Ok(_) => said(format!("invalid percentage value: {text}")),
            Err(_) => said(format!("invalid percentage format: {text}")),
        };
    }
    let amount = match text.parse::<f64>() {
        Ok(number) => format!("{number}{unit}"),
        Err(_) => text.to_string(),
    };
    match amount.parse::<Quantity>() {
        Ok(quantity) => {
            Ok(value!({"type": "AverageValue", "averageValue": (quantity.to_string())}))
        }
        Err(error) => said(error.to_string()),
    }
}

fn autoscaler(shell: &Shell, args: &Args, info: &Info, metrics: &[Value]) -> Result<Value> {
    let name = args.derive.name_beside(&info.name);
    let mut made = value!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": (name), "creationTimestamp": null},
        "spec": {
            "maxReplicas": (i64::from(args.max)),
            "scaleTargetRef": {
                "apiVersion": (info.resource.group_version()), "kind": (info.resource.kind.as_str()),
                "name": (info.name.as_str())
            }
        },
        "status": {"currentMetrics": null, "desiredReplicas": 0}
    });
    if args.min > 0 {
        made.set_at(&["spec", "minReplicas"], i64::from(args.min));
    }
    if !metrics.is_empty() {
        made.set_at(&["spec", "metrics"], metrics.to_vec());
    }
    if let (namespace, true) = shell.namespace()? {
        made.set_at(&["metadata", "namespace"], namespace);
    }
    Ok(made)
}

/// Sends it where autoscalers are made; a server without them says so itself.
async fn create(shell: &Shell, args: &Args, made: &Value, dry_run: DryRun) -> Result<Value> {
    let (namespace, _) = shell.namespace()?;
    let path = format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers");
    let write = Write::by(&args.field_manager, dry_run);
    let answer = shell.api().await?.post(&write.path(&path), made).await;
    answer.map_err(|error| match error {
        // The server's answer is no `Status`: the client says what was asked.
        Error::Refused(mut refusal) if refusal.status.get("details").is_none() => {
            let message = refusal.status.str_at(&["message"]);
            let message = format!("{message} (post horizontalpodautoscalers.autoscaling)");
            refusal.status.set_at(&["message"], message);
            Error::Refused(refusal)
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_percentages_or_quantities() {
        let target = |text: &str, unit: &str| target(text, unit).map_err(|e| e.to_string());
        assert_eq!(target("70%", "m"), Ok(utilization(70)));
        let average = |text: &str| value!({"type": "AverageValue", "averageValue": (text)});
        assert_eq!(target("500", "m"), Ok(average("500m")));
        assert_eq!(target("1Gi", "Mi"), Ok(average("1Gi")));
        assert!(target("0%", "m").is_err() && target("much", "m").is_err());
    }
}
