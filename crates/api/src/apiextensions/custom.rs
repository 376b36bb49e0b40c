//! A kind made at run time from a CustomResourceDefinition: the same erased
//! kind as any other, one for each version. Follows
//! pkg/registry/customresource/strategy.go of apiextensions-apiserver.

use super::intern;
use super::structural::Structural;
use crate::kind::{
    AGE, Card, Column, Door, Hub, Kind, NAME, NameRule, SCALE, STATUS, ScalePaths, Subresource,
    Verbs,
};
use jiff::Timestamp;
use meta::jsonpath::{self, JsonPath};
use meta::object::Object as _;
use meta::schema::Ref;
use meta::{Errors, Field, FieldError, Path, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// One version of a custom kind.
pub struct CustomKind {
    card: Card,
    list_kind: String,
    schema: Structural,
    openapi: Value,
    columns: Vec<Column>,
    cells: Vec<(String, Option<JsonPath>)>,
    selectable: Vec<&'static str>,
    scale: Option<ScalePaths>,
    has_defaults: bool,
    is_terminating: bool,
    /// The version in which objects are stored, where that is another.
    storage: Option<Arc<CustomKind>>,
}

/// The kinds of a definition.
pub struct Made {
    /// As it is stored.
    pub storage: Arc<CustomKind>,
    /// As it is served, a kind for each version.
    pub served: Vec<Arc<CustomKind>>,
}

/// Makes the kinds of a definition whose names are accepted. `None` for one
/// that has no version to store.
pub fn make(crd: &Value) -> Option<Made> {
    let versions = crd.items_at(&["spec", "versions"]);
    let stored = versions.iter().find(|v| v.is_true_at(&["storage"]))?;
    let mut storage = CustomKind::new(crd, stored, None);
    let own = storage.selectable.len();
    let others = versions.iter().flat_map(selectable_fields);
    for name in others {
        if !storage.selectable.contains(&name) {
            storage.selectable.push(name);
        }
    }
    // What only other versions select by is kept with every object, and yet the
    // version that is stored does not offer it.
    let offers_all = storage.selectable.len() == own;
    let storage = Arc::new(storage);
    let served = versions.iter().filter(|v| v.is_true_at(&["served"]));
    let served = served.map(|version| match version.is_true_at(&["storage"]) {
        true if offers_all => storage.clone(),
        _ => Arc::new(CustomKind::new(crd, version, Some(storage.clone()))),
    });
    let served = served.collect();
    Some(Made { storage, served })
}

const NO_SUBRESOURCES: &[Subresource] = &[];
const STATUS_ONLY: &[Subresource] = &[STATUS];
const SCALE_ONLY: &[Subresource] = &[SCALE];
const BOTH: &[Subresource] = &[SCALE, STATUS];

impl CustomKind {
    fn new(crd: &Value, version: &Value, storage: Option<Arc<CustomKind>>) -> Self {
        let group = intern::name(crd.str_at(&["spec", "group"]));
        let name = intern::name(version.str_at(&["name"]));
        let names = |key: &str| crd.str_at(&["status", "acceptedNames", key]);
        let lists = |key: &str| {
            let items = crd.items_at(&["status", "acceptedNames", key]).iter();
            let texts: Vec<&str> = items.filter_map(Value::as_str).collect();
            intern::names(&texts)
        };
        let openapi = version.at(&["schema", "openAPIV3Schema"]).cloned();
        let openapi = openapi.unwrap_or_else(Value::object);
        let schema = Structural::new(&openapi);
        let kind = intern::name(names("kind"));
        let at = |name: &str| version.at(&["subresources", name]);
        let subresources = match (at("status").is_some(), at("scale").is_some()) {
            (false, false) => NO_SUBRESOURCES,
            (true, false) => STATUS_ONLY,
            (false, true) => SCALE_ONLY,
            (true, true) => BOTH,
        };
        let (columns, cells) = columns(version);
        CustomKind {
            card: Card {
                group,
                version: name,
                kind,
                plural: intern::name(names("plural")),
                singular: intern::name(names("singular")),
                short_names: lists("shortNames"),
                categories: lists("categories"),
                namespaced: crd.str_at(&["spec", "scope"]) == "Namespaced",
                verbs: Verbs::All,
                subresources,
                schema: Ref::Shared(Arc::new(schema.resource(&format!("{group}/{name}"), kind))),
                name: NameRule::Subdomain,
                generation: true,
            },
            list_kind: names("listKind").to_string(),
            has_defaults: schema.has_defaults(),
            schema,
            openapi,
            columns,
            cells,
            selectable: selectable_fields(version).collect(),
            scale: at("scale").map(|scale| ScalePaths {
                spec: simple(scale.str_at(&["specReplicasPath"])),
                status: simple(scale.str_at(&["statusReplicasPath"])),
                selector: simple(scale.str_at(&["labelSelectorPath"])),
            }),
            is_terminating: crd.is_deleting(),
            storage,
        }
    }

    fn check(&self, object: &Field<'_>, old: Option<&Value>, errors: &mut Errors) {
        let Some(value) = object.value else { return };
        self.schema.check(value, old, errors);
        let mut twice = Errors::new();
        self.schema.check_lists(value, &Path::root(), &mut twice);
        if let Some(old) = old {
            let mut before = Errors::new();
            self.schema.check_lists(old, &Path::root(), &mut before);
            if !before.is_empty() {
                twice = Errors::new();
            }
        }
        errors.extend(twice);
        self.check_scale(object, errors);
    }

    fn check_scale(&self, object: &Field<'_>, errors: &mut Errors) {
        let Some(paths) = &self.scale else { return };
        for path in [&paths.spec, &paths.status] {
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            let replicas = object.at(&names);
            if replicas.int() < 0 {
                let path = Path::new(&format!(".{}", names.join(".")));
                let detail = "should be a non-negative integer";
                errors.push(FieldError::invalid(&path, replicas.int(), detail));
            }
        }
    }
}

/// The fields of a path without brackets.
fn simple(path: &str) -> Vec<String> {
    let parts = path.split('.').filter(|part| !part.is_empty());
    parts.map(str::to_string).collect()
}

fn selectable_fields(version: &Value) -> impl Iterator<Item = &'static str> {
    let fields = version.items_at(&["selectableFields"]).iter();
    fields.map(|field| intern::name(field.str_at(&["jsonPath"]).trim_start_matches('.')))
}

/// What is printed: the name, and what the version says; the age where it
/// says nothing.
fn columns(version: &Value) -> (Vec<Column>, Vec<(String, Option<JsonPath>)>) {
    let (mut columns, mut cells) = (vec![NAME], Vec::new());
    for column in version.items_at(&["additionalPrinterColumns"]) {
        let text = |key: &str| Cow::Owned(column.str_at(&[key]).to_string());
        columns.push(Column {
            name: text("name"),
            ty: text("type"),
            format: text("format"),
            description: text("description"),
            priority: column.i64_at(&["priority"]).unwrap_or(0) as i32,
        });
        let path = path(column.str_at(&["jsonPath"]));
        cells.push((column.str_at(&["type"]).to_string(), path));
    }
    if columns.len() == 1 {
        columns.push(Column {
            ty: Cow::Borrowed("date"),
            ..AGE
        });
        cells.push(("date".into(), path(".metadata.creationTimestamp")));
    }
    (columns, cells)
}

/// A column's path, which is written without braces; none for one that is no
/// path, whose cells stay empty.
fn path(text: &str) -> Option<JsonPath> {
    let path = JsonPath::parse(&format!("{{{text}}}")).ok()?;
    Some(path.allow_missing_keys(true))
}

/// A cell. Follows pkg/registry/customresource/tableconvertor/tableconvertor.go.
fn cell(ty: &str, path: Option<&JsonPath>, object: &Value, now: Timestamp) -> Value {
    let found = path.and_then(|path| path.find(object).ok());
    let Some(first) = found.iter().flatten().flatten().next() else {
        return Value::Null;
    };
    match (ty, &**first) {
        ("string", Value::String(text)) => text.into(),
        ("string", Value::Null) => Value::Null,
        ("string", _) => jsonpath::print(std::slice::from_ref(first)).into(),
        ("integer", Value::Number(number)) => (number.as_f64() as i64).into(),
        ("number", value @ Value::Number(_)) => value.clone(),
        ("boolean", value @ Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) => crate::print::since(text, now).into(),
        _ => Value::Null,
    }
}

impl Kind for CustomKind {
    fn card(&self) -> &Card {
        &self.card
    }
    fn list_kind(&self) -> String {
        self.list_kind.clone()
    }
    fn prune(&self, object: &mut Value) -> Vec<String> {
        self.schema.prune(object)
    }
    fn default(&self, object: &mut Value) {
        self.schema.fill(object);
    }
    fn prepare_update(&self, object: &mut Value, old: &Value, door: Door) {
        if door != Door::Status {
            return;
        }
        // Nothing of the metadata changes through that door.
        let mut metadata = old.metadata().cloned().unwrap_or_default();
        for key in ["managedFields", "resourceVersion"] {
            match object.metadata().and_then(|m| m.get(key)) {
                Some(value) => metadata.insert(key, value.clone()),
                None => metadata.remove(key),
            };
        }
        object.make_object().insert("metadata", metadata);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        self.check(object, None, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        _door: Door,
        errors: &mut Errors,
    ) {
        self.check(object, old.value, errors);
    }
    fn columns(&self) -> &[Column] {
        &self.columns
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let cells = self.cells.iter();
        let cells = cells.map(|(ty, path)| cell(ty, path.as_ref(), object, now));
        std::iter::once(crate::print::name(object))
            .chain(cells)
            .collect()
    }
    fn selectable(&self) -> &[&'static str] {
        &self.selectable
    }
    fn updates_unconditionally(&self) -> bool {
        false
    }
    fn scale(&self) -> Option<&ScalePaths> {
        self.scale.as_ref()
    }
    fn openapi(&self) -> Option<&Value> {
        Some(&self.openapi)
    }
    fn refuses_create(&self) -> bool {
        self.is_terminating
    }
    fn hub(&self) -> Option<&dyn Hub> {
        (self.storage.is_some() || self.has_defaults).then_some(self)
    }
}

/// Versions differ in nothing but what they call themselves (the strategy
/// `None`); objects that were stored before a default was declared get it when
/// they are read.
impl Hub for CustomKind {
    fn kind(&self) -> &dyn Kind {
        self.storage.as_deref().unwrap_or(self)
    }
    fn to_hub(&self, object: Value) -> Value {
        object
    }
    fn from_hub(&self, mut object: Value) -> Value {
        self.schema.fill(&mut object);
        object
    }
}
