//! What a kind is to the rest of the system: an identity card, and the few
//! pure functions in which it differs from every other kind.
//!
//! All of them work on the tree. Whatever can be said for every object (names,
//! labels, uid, generation, the status subresource, managed fields) is said
//! once, in crate `registry`; a kind says only what is its own.

use jiff::Timestamp;
use meta::schema::{Ref, Struct};
use meta::{
    Errors, Field, GroupResource, GroupVersion, GroupVersionKind, GroupVersionResource, Value,
};
use std::borrow::Cow;

/// Who a kind is.
#[derive(Debug)]
pub struct Card {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// `ConfigMap`
    pub kind: &'static str,
    /// `configmaps`
    pub plural: &'static str,
    /// `configmap`
    pub singular: &'static str,
    /// `cm`
    pub short_names: &'static [&'static str],
    /// `all`
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What can be done to it.
    pub verbs: Verbs,
    /// Its subresources, by name, apart from the resource itself.
    pub subresources: &'static [Subresource],
    /// Its schema.
    pub schema: Ref<Struct>,
    /// What its name may look like.
    pub name: NameRule,
    /// `metadata.generation` counts changes of everything but metadata and status.
    pub generation: bool,
}

/// The verbs a resource serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbs {
    /// get, list, watch, create, update, patch, delete, deletecollection
    All,
    /// As `All`, without deletecollection.
    NoDeleteCollection,
    /// create only: reviews, which are answered and not kept.
    CreateOnly,
}

impl Verbs {
    /// Their names in alphabetical order, as discovery lists them.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Verbs::All => &[
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ],
            Verbs::NoDeleteCollection => &[
                "create", "delete", "get", "list", "patch", "update", "watch",
            ],
            Verbs::CreateOnly => &["create"],
        }
    }
}

/// A path below an object.
#[derive(Debug)]
pub struct Subresource {
    /// `status`, `scale`, `log`, …
    pub name: &'static str,
    /// The verbs it serves, as discovery lists them.
    pub verbs: &'static [&'static str],
    /// The kind of its body where that is not the resource's own, with group
    /// and version.
    pub body: Option<(&'static str, &'static str, &'static str)>,
}

/// The status subresource, which most kinds have.
pub const STATUS: Subresource = Subresource {
    name: "status",
    verbs: &["get", "patch", "update"],
    body: None,
};

/// The scale subresource.
pub const SCALE: Subresource = Subresource {
    name: "scale",
    verbs: &["get", "patch", "update"],
    body: Some(("autoscaling", "v1", "Scale")),
};

/// What an object may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// An RFC 1123 subdomain, as most.
    Subdomain,
    /// An RFC 1123 label: namespaces, …
    Label,
    /// A DNS-1035 label.
    Label1035,
    /// One segment of a URL path: RBAC.
    PathSegment,
    /// Anything the kind's own validation lets pass.
    Any,
}

impl Card {
    /// Whether it comes from a CustomResourceDefinition.
    pub fn is_custom(&self) -> bool {
        self.schema.as_static().is_none()
    }

    /// Whether a subresource of this name is served.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Whether status is written through its own path.
    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    /// Group, version and kind.
    pub fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind::new(self.group, self.version, self.kind)
    }

    /// Group and version.
    pub fn group_version(&self) -> GroupVersion {
        GroupVersion::new(self.group, self.version)
    }

    /// Group, version and resource.
    pub fn gvr(&self) -> GroupVersionResource {
        GroupVersionResource::new(self.group, self.version, self.plural)
    }

    /// Group and resource.
    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.group, self.plural)
    }
}

/// Through which door an update comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The object itself.
    Main,
    /// Its status.
    Status,
    /// Another subresource: `scale`, `binding`, `ephemeralcontainers`, `resize`, `finalize`.
    Other(&'static str),
}

/// One column of `kubectl get`.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading.
    pub name: Cow<'static, str>,
    /// `string`, `integer`, `number`, `boolean`, `date`
    pub ty: Cow<'static, str>,
    /// `name` for the object's name, else empty.
    pub format: Cow<'static, str>,
    /// What it says; may be empty.
    pub description: Cow<'static, str>,
    /// 0 is always shown; more only with `-o wide`.
    pub priority: i32,
}

impl Column {
    /// A column that is always shown.
    pub const fn new(name: &'static str, ty: &'static str) -> Self {
        Column {
            name: Cow::Borrowed(name),
            ty: Cow::Borrowed(ty),
            format: Cow::Borrowed(""),
            description: Cow::Borrowed(""),
            priority: 0,
        }
    }

    /// A column that only `-o wide` shows.
    pub const fn wide(name: &'static str, ty: &'static str) -> Self {
        Column {
            name: Cow::Borrowed(name),
            ty: Cow::Borrowed(ty),
            format: Cow::Borrowed(""),
            description: Cow::Borrowed(""),
            priority: 1,
        }
    }
}

/// The object's name.
pub const NAME: Column = Column {
    name: Cow::Borrowed("Name"),
    ty: Cow::Borrowed("string"),
    format: Cow::Borrowed("name"),
    description: Cow::Borrowed(""),
    priority: 0,
};
/// How long ago the object was made.
pub const AGE: Column = Column::new("Age", "string");
/// When the object was made.
pub const CREATED_AT: Column = Column::new("Created At", "date");

/// Where a kind keeps how many replicas it has: chains of fields, empty where
/// there is no such field.
#[derive(Clone, Debug)]
pub struct ScalePaths {
    /// The wanted replicas.
    pub spec: Vec<String>,
    /// The replicas there are.
    pub status: Vec<String>,
    /// The selector of what runs, as text.
    pub selector: Vec<String>,
}

/// What a kind does differently. Everything has a default that suits a kind
/// that is only stored; identity is the one thing that a kind must say.
pub trait Kind: Send + Sync {
    /// Who it is.
    fn card(&self) -> &Card;

    /// Drops what the schema of a custom resource does not name, and says which
    /// fields those were. Types of built-in kinds are checked by their table.
    fn prune(&self, _object: &mut Value) -> Vec<String> {
        Vec::new()
    }

    /// Fills in what the client left out, also on objects read from the store.
    /// Must change nothing that is already filled in.
    fn default(&self, _object: &mut Value) {}

    /// Whether a new object keeps the status that its maker gave it, although
    /// status is a subresource.
    fn keeps_status_on_create(&self) -> bool {
        false
    }

    /// What clients are told of whatever they do with this kind, when it has
    /// had its day: what to use instead.
    fn deprecated(&self) -> Option<&'static str> {
        None
    }

    /// The conditions of the row that stands for an object in a table.
    fn row_conditions(&self, _object: &Value) -> Vec<Value> {
        Vec::new()
    }

    /// Clears and sets what a client may not decide on create. `status` has
    /// been removed already where it is a subresource.
    fn prepare_create(&self, _object: &mut Value) {}

    /// Restores what an update through this door may not change. For kinds
    /// with a status subresource, status (or all but status) has been restored
    /// already.
    fn prepare_update(&self, _object: &mut Value, _old: &Value, _door: Door) {}

    /// What is wrong with a new object. Metadata has been looked at already.
    fn validate(&self, _object: &Field<'_>, _errors: &mut Errors) {}

    /// What is wrong with a change. Metadata has been looked at already.
    /// Unless it says otherwise, the new object must be valid by itself.
    fn validate_update(
        &self,
        object: &Field<'_>,
        _old: &Field<'_>,
        _door: Door,
        errors: &mut Errors,
    ) {
        self.validate(object, errors);
    }

    /// What a client should be warned of: deprecated or doubtful fields.
    fn warnings(&self, _object: &Value, _old: Option<&Value>) -> Vec<String> {
        Vec::new()
    }

    /// The columns of `kubectl get`.
    fn columns(&self) -> &[Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    /// The cells of one object, one for each of [`Kind::columns`].
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        vec![crate::print::name(object), crate::print::age(object, now)]
    }

    /// The fields by which lists can be selected, besides `metadata.name` and
    /// `metadata.namespace`; each is read by [`Kind::field`].
    fn selectable(&self) -> &[&'static str] {
        &[]
    }

    /// The text of a selectable field; dotted paths read themselves.
    fn field(&self, object: &Value, name: &str) -> String {
        crate::print::text_at(object, name)
    }

    /// For kinds that end gracefully: how many seconds this object gets, given
    /// what the client asked for. `None` for kinds that are gone at once.
    fn grace(&self, _object: &Value, _asked: Option<i64>) -> Option<i64> {
        None
    }

    /// What deletion changes in the object before it waits for its finalizers.
    fn prepare_delete(&self, _object: &mut Value) {}

    /// Whether something besides `metadata.finalizers` still holds the object.
    fn is_held(&self, _object: &Value) -> bool {
        false
    }

    /// What happens to dependents when the client does not say.
    fn orphans_by_default(&self) -> bool {
        false
    }

    /// Whether a PUT or apply may create the object.
    fn creates_on_update(&self) -> bool {
        false
    }

    /// Whether an update without a resourceVersion is taken (the last writer wins).
    fn updates_unconditionally(&self) -> bool {
        true
    }

    /// How long an object is kept when nobody writes it again; `None` for ever.
    fn ttl(&self) -> Option<std::time::Duration> {
        None
    }

    /// Whether a delete answers with the object rather than a Status.
    fn returns_deleted(&self) -> bool {
        false
    }

    /// The kind of its lists.
    fn list_kind(&self) -> String {
        format!("{}List", self.card().kind)
    }

    /// Where it keeps its replicas, when not where built-in kinds do.
    fn scale(&self) -> Option<&ScalePaths> {
        None
    }

    /// Its schema as its definition has it, where no table does.
    fn openapi(&self) -> Option<&Value> {
        None
    }

    /// Whether it is on its way out, so that no objects of it are made any more.
    fn refuses_create(&self) -> bool {
        false
    }

    /// The kind as which objects of this one are stored, where that is another
    /// (a second version or group of the same objects), with the conversion.
    fn hub(&self) -> Option<&dyn Hub> {
        None
    }
}

/// How a kind that is stored as another is turned into it and back.
pub trait Hub: Send + Sync {
    /// The kind that is stored.
    fn kind(&self) -> &dyn Kind;
    /// From the served form to the stored one.
    fn to_hub(&self, object: Value) -> Value;
    /// From the stored form to the served one.
    fn from_hub(&self, object: Value) -> Value;
    /// The stored form's name of a field by which lists can be selected.
    fn hub_field(&self, name: &str) -> String {
        name.into()
    }
}
