//! What a LimitRange may hold. Follows ValidateLimitRange in
//! pkg/apis/core/validation/validation.go.

use crate::core::pod::spec::{validate_any_resource_name, validate_container_resource_name};
use meta::{Errors, Field, Path, Quantity, names};
use std::collections::{BTreeMap, BTreeSet};

/// The types that are known without a domain.
const TYPES: [&str; 3] = ["Container", "PersistentVolumeClaim", "Pod"];

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for limit in object.at(&["spec", "limits"]).items() {
        let ty = limit.get("type");
        validate_type(&ty, errors);
        if !seen.insert(ty.str()) {
            errors.push(ty.duplicate());
        }
        validate_item(&limit, ty.str(), errors);
    }
}

fn validate_type(ty: &Field<'_>, errors: &mut Errors) {
    let complaints = names::qualified_name(ty.str());
    let well_formed = complaints.is_empty();
    errors.invalid_each(ty, complaints);
    if well_formed && !ty.str().contains('/') && !TYPES.contains(&ty.str()) {
        errors.push(ty.invalid("must be a standard limit type or fully qualified"));
    }
}

/// The quantities of one list, by name.
type List = BTreeMap<String, Quantity>;

fn read(limit: &Field<'_>, list: &str, ty: &str, errors: &mut Errors) -> List {
    let mut found = List::new();
    for (name, field) in limit.get(list).entries() {
        match ty {
            "Container" | "Pod" => validate_container_resource_name(name, &field, errors),
            _ => validate_any_resource_name(name, &field, errors),
        }
        if let Ok(quantity) = field.str().parse() {
            found.insert(name.to_string(), quantity);
        }
    }
    found
}

fn validate_item(limit: &Field<'_>, ty: &str, errors: &mut Errors) {
    let max = read(limit, "max", ty, errors);
    let min = read(limit, "min", ty, errors);
    let (mut default, mut request) = (List::new(), List::new());
    if ty == "Pod" {
        for list in ["default", "defaultRequest"] {
            let field = limit.get(list);
            if !field.is_empty() {
                errors.push(field.forbidden("may not be specified when `type` is 'Pod'"));
            }
        }
    } else {
        default = read(limit, "default", ty, errors);
        request = read(limit, "defaultRequest", ty, errors);
    }
    if ty == "PersistentVolumeClaim" && !min.contains_key("storage") && !max.contains_key("storage")
    {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(limit.get("limits").required(why));
    }
    let ratio = read(limit, "maxLimitRequestRatio", ty, errors);
    let lists = Lists {
        path: &limit.path,
        max,
        min,
        default,
        request,
        ratio,
    };
    let all = [
        &lists.max,
        &lists.min,
        &lists.default,
        &lists.request,
        &lists.ratio,
    ];
    let names: BTreeSet<&String> = all.iter().flat_map(|list| list.keys()).collect();
    for name in names {
        lists.compare(name, errors);
    }
}

/// The lists of one item.
struct Lists<'a> {
    path: &'a Path,
    max: List,
    min: List,
    default: List,
    request: List,
    ratio: List,
}

impl Lists<'_> {
    fn compare(&self, name: &str, errors: &mut Errors) {
        let (min, max) = (self.min.get(name), self.max.get(name));
        let (default, request) = (self.default.get(name), self.request.get(name));
        let mut order =
            |low: Option<&Quantity>, high: Option<&Quantity>, shown, list, words: [&str; 2]| {
                let (Some(low), Some(high)) = (low, high) else {
                    return;
                };
                if low > high {
                    let [low_name, high_name] = words;
                    let why = format!("{low_name} {low} is greater than {high_name} {high}");
                    let shown: Option<&Quantity> = shown;
                    let shown = shown.copied().unwrap_or_default().to_string();
                    let path = self.path.child(list).key(name);
                    errors.push(meta::FieldError::invalid(&path, shown, why));
                }
            };
        order(min, max, min, "min", ["min value", "max value"]);
        order(
            min,
            request,
            request,
            "defaultRequest",
            ["min value", "default request value"],
        );
        order(
            request,
            max,
            request,
            "defaultRequest",
            ["default request value", "max value"],
        );
        order(
            request,
            default,
            request,
            "defaultRequest",
            ["default request value", "default limit value"],
        );
        order(min, default, min, "default", ["min value", "default value"]);
        order(default, max, max, "default", ["default value", "max value"]);
        self.check_ratio(name, errors);
        let overcommits = (!name.contains('/') || name.contains("kubernetes.io/"))
            && !name.starts_with("hugepages-");
        if let (false, Some(default), Some(request)) = (overcommits, default, request)
            && default != request
        {
            let path = self.path.child("defaultRequest").key(name);
            let why = format!(
                "default value {default} must equal to defaultRequest value {request} in {name}"
            );
            errors.push(meta::FieldError::invalid(&path, request.to_string(), why));
        }
    }

    fn check_ratio(&self, name: &str, errors: &mut Errors) {
        let Some(ratio) = self.ratio.get(name) else {
            return;
        };
        let path = self.path.child("maxLimitRequestRatio").key(name);
        let mut wrong = |why: String| {
            errors.push(meta::FieldError::invalid(&path, ratio.to_string(), why));
        };
        if *ratio < Quantity::from_units(1) {
            wrong(format!("ratio {ratio} is less than 1"));
        }
        if let (Some(min), Some(max)) = (self.min.get(name), self.max.get(name)) {
            let most = max.as_f64() / min.as_f64();
            if ratio.as_f64() > most {
                wrong(format!("ratio {ratio} is greater than max/min = {most:.6}"));
            }
        }
    }
}
