//! Makes `crates/api/src/generated/` from `spec/`: the schema of every
//! built-in type as statics, a file per Go package.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Writes what is not yet so; with `check`, only says whether anything would change.
pub fn run(root: &Path, check: bool) -> Result<()> {
    let files = generate(&root.join("spec"))?;
    let folder = root.join("crates/api/src/generated");
    let mut stale = Vec::new();
    for (name, text) in &files {
        let path = folder.join(name);
        if std::fs::read_to_string(&path).unwrap_or_default() != *text {
            stale.push(path.clone());
            if !check {
                std::fs::create_dir_all(&folder)?;
                std::fs::write(&path, text)?;
            }
        }
    }
    if check && !stale.is_empty() {
        bail!("run `cargo xtask codegen`: these are stale: {stale:?}");
    }
    Ok(())
}

/// One row of `fields.tsv`.
#[derive(Clone, Debug)]
struct Row {
    json: String,
    go: String,
    number: u32,
    omitempty: bool,
    presence: String,
    list_or_map: String,
    keys: String,
    patch: String,
    merge_key: String,
    default: String,
    via: u32,
}

/// The tables, by package and type.
struct Spec {
    fields: BTreeMap<(String, String), Vec<Row>>,
    underlying: BTreeMap<(String, String), String>,
    atomic: BTreeSet<(String, String)>,
    /// The closed sets of texts.
    enums: BTreeMap<(String, String), Vec<String>>,
}

const META: &str = "k8s.io/apimachinery/pkg/apis/meta/v1";
const CORE: &str = "k8s.io/api/core/v1";

fn read(folder: &Path) -> Result<Spec> {
    let mut spec = Spec {
        fields: BTreeMap::new(),
        underlying: BTreeMap::new(),
        atomic: BTreeSet::new(),
        enums: BTreeMap::new(),
    };
    for line in table(&folder.join("enums.tsv"))? {
        if line[2] == "enum" {
            let mut values: Vec<String> = line[3].split(',').map(str::to_string).collect();
            values.sort();
            spec.enums
                .insert((line[0].clone(), line[1].clone()), values);
        }
    }
    for line in table(&folder.join("fields.tsv"))? {
        let key = (line[0].clone(), line[1].clone());
        spec.fields.entry(key).or_default().push(Row {
            json: line[2].clone(),
            go: line[3].clone(),
            number: line[4].parse().unwrap_or(0),
            omitempty: line[7] == "omitempty",
            presence: line[8].clone(),
            list_or_map: line[9].clone(),
            keys: line[10].clone(),
            patch: line[11].clone(),
            merge_key: line[12].clone(),
            default: line[13].clone(),
            via: 0,
        });
    }
    for line in table(&folder.join("kinds.tsv"))? {
        let key = (line[0].clone(), line[1].clone());
        if line[3].contains("structType=atomic") || line[3].contains("mapType=atomic") {
            spec.atomic.insert(key.clone());
        }
        spec.underlying.insert(key, line[2].clone());
    }
    Ok(spec)
}

fn table(path: &Path) -> Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let width = text.lines().next().unwrap_or_default().split('\t').count();
    Ok(text
        .lines()
        .skip(1)
        .map(|line| {
            let mut cells: Vec<String> = line.split('\t').map(str::to_string).collect();
            cells.resize(width, String::new());
            cells
        })
        .collect())
}

/// What a Go type is to the schema.
#[derive(Clone, Debug)]
enum Ty {
    Leaf(&'static str),
    Struct(String, String),
    List(Box<Ty>),
    Map(Box<Ty>),
}

impl Spec {
    fn has(&self, package: &str, name: &str) -> bool {
        self.underlying.contains_key(&(package.into(), name.into()))
    }

    /// The package that a qualifier means inside a package.
    fn package(&self, within: &str, qualifier: &str, name: &str) -> String {
        let sibling = within
            .rsplit_once('/')
            .map(|(parent, _)| format!("{parent}/v1"))
            .unwrap_or_default();
        match qualifier {
            "metav1" => META.into(),
            "corev1" => CORE.into(),
            "resource" => "k8s.io/apimachinery/pkg/api/resource".into(),
            "authenticationv1" => "k8s.io/api/authentication/v1".into(),
            "authorizationv1" => "k8s.io/api/authorization/v1".into(),
            "batchv1" => "k8s.io/api/batch/v1".into(),
            "schedulingv1alpha3" => "k8s.io/api/scheduling/v1alpha3".into(),
            _ if sibling != within && self.has(&sibling, name) => sibling,
            _ if self.has(CORE, name) => CORE.into(),
            _ => META.into(),
        }
    }

    fn resolve(&self, package: &str, go: &str) -> Ty {
        if let Some(rest) = go.strip_prefix('*') {
            return self.resolve(package, rest);
        }
        if go == "[]byte" {
            return Ty::Leaf("Bytes");
        }
        if let Some(rest) = go.strip_prefix("[]") {
            return Ty::List(Box::new(self.resolve(package, rest)));
        }
        if let Some(rest) = go.strip_prefix("map[") {
            let (_, value) = rest.split_once(']').unwrap_or(("", rest));
            return Ty::Map(Box::new(self.resolve(package, value)));
        }
        match go {
            "string"
            | "types.UID"
            | "apimachinerytypes.UID"
            | "types.NodeName"
            | "types.UnixSeconds" => return Ty::Leaf("String"),
            "bool" => return Ty::Leaf("Bool"),
            "int32" | "uint32" | "int16" | "int8" | "uint16" => return Ty::Leaf("Int32"),
            "int" | "int64" | "uint64" => return Ty::Leaf("Int64"),
            "float64" | "float32" => return Ty::Leaf("Float"),
            "interface{}" | "any" | "interface {}" => return Ty::Leaf("Any"),
            _ => {}
        }
        let (home, name) = match go.split_once('.') {
            Some((qualifier, name)) => (self.package(package, qualifier, name), name),
            None => (package.to_string(), go),
        };
        self.named(&home, name)
    }

    fn named(&self, package: &str, name: &str) -> Ty {
        match name {
            "Time" if package == META => return Ty::Leaf("Time"),
            "MicroTime" if package == META => return Ty::Leaf("MicroTime"),
            "Duration" if package == META => return Ty::Leaf("Duration"),
            "Quantity" => return Ty::Leaf("Quantity"),
            "IntOrString" => return Ty::Leaf("IntOrString"),
            "FieldsV1" | "RawExtension" | "JSON" | "Object" => return Ty::Leaf("Any"),
            "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray" => {
                return Ty::Leaf("Any");
            }
            _ => {}
        }
        match self
            .underlying
            .get(&(package.into(), name.into()))
            .map(String::as_str)
        {
            Some("struct") => Ty::Struct(package.into(), name.into()),
            Some(other) if other == name => Ty::Leaf("Any"),
            Some("interface {" | "interface{}") => Ty::Leaf("Any"),
            Some(other) => self.resolve(package, other),
            None => Ty::Leaf("Any"),
        }
    }

    /// The closed set of texts of a type, or of the items of a list of it.
    fn values(&self, package: &str, go: &str) -> &[String] {
        let go = go.trim_start_matches('*').trim_start_matches("[]");
        let key = match go.split_once('.') {
            Some((qualifier, name)) => (self.package(package, qualifier, name), name.to_string()),
            None => (package.to_string(), go.to_string()),
        };
        self.enums.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The fields of a type with those of embedded structs in their places.
    fn expanded(&self, package: &str, name: &str) -> Vec<(String, Row)> {
        let rows = self
            .fields
            .get(&(package.into(), name.into()))
            .cloned()
            .unwrap_or_default();
        let mut out = Vec::new();
        for row in rows {
            match row.json.as_str() {
                "(inline)" => {
                    if let Ty::Struct(home, inner) = self.resolve(package, &row.go) {
                        out.extend(self.expanded(&home, &inner).into_iter().map(
                            |(home, mut inner)| {
                                match row.number {
                                    // `TypeMeta` has no place in an object's message:
                                    // the envelope says what it says.
                                    0 => inner.number = 0,
                                    outer => inner.via = inner.via << 16 | outer,
                                }
                                (home, inner)
                            },
                        ));
                    }
                }
                "-" | "" => {}
                _ => out.push((package.to_string(), row)),
            }
        }
        // Upstream writes kind before apiVersion; the embedded type declares them so.
        out
    }
}

/// The file name and the module of a package.
fn module(package: &str) -> String {
    let tail = package
        .trim_start_matches("k8s.io/")
        .trim_start_matches("api/")
        .trim_start_matches("apimachinery/pkg/apis/")
        .trim_start_matches("apiextensions-apiserver/pkg/apis/")
        .trim_start_matches("kube-aggregator/pkg/apis/")
        .replace("metrics/pkg/apis/", "");
    tail.replace(['/', '-', '.'], "_")
}

fn is_served(package: &str) -> bool {
    package.starts_with("k8s.io/api/")
        || package.starts_with("k8s.io/apiextensions-apiserver/")
        || package.starts_with("k8s.io/kube-aggregator/")
        || package.starts_with("k8s.io/metrics/")
        || package == META
}

fn screaming(name: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let after_lower = i > 0 && (chars[i - 1].is_lowercase() || chars[i - 1].is_ascii_digit());
        let before_lower = i > 0
            && chars[i - 1].is_uppercase()
            && chars.get(i + 1).is_some_and(|c| c.is_lowercase());
        if c.is_uppercase() && (after_lower || before_lower) {
            out.push('_');
        }
        out.extend(c.to_uppercase());
    }
    out
}

fn generate(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let spec = read(folder)?;
    let mut packages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (package, name) in spec.underlying.keys() {
        let is_struct = spec.underlying[&(package.clone(), name.clone())] == "struct";
        let exported = name.starts_with(|c: char| c.is_uppercase());
        if is_struct
            && exported
            && is_served(package)
            && matches!(spec.named(package, name), Ty::Struct(..))
        {
            packages.entry(package).or_default().push(name);
        }
    }
    let mut files = vec![(PathBuf::from("mod.rs"), index(&packages))];
    for (package, names) in &packages {
        files.push((
            format!("{}.rs", module(package)).into(),
            package_file(&spec, package, names),
        ));
    }
    Ok(files)
}

fn index(packages: &BTreeMap<&str, Vec<&str>>) -> String {
    let mut out = String::from(
        "//! Generated by `cargo xtask codegen` from `spec/`: the schema of every built-in type.\n\n#![allow(missing_docs)]\n\nuse meta::schema::Struct;\n\n",
    );
    for package in packages.keys() {
        let _ = writeln!(out, "pub mod {};", module(package));
    }
    out.push_str("\n/// Every type by package and name, in that order.\npub static TYPES: &[(&str, &str, &Struct)] = &[\n");
    for (package, names) in packages {
        for name in names {
            let _ = writeln!(
                out,
                "    ({package:?}, {name:?}, &{}::{}),",
                module(package),
                screaming(name)
            );
        }
    }
    out.push_str("];\n");
    out
}

fn package_file(spec: &Spec, package: &str, names: &[&str]) -> String {
    let mut nodes = Nodes::default();
    let mut body = String::new();
    for name in names {
        let constant = screaming(name);
        let atomic = spec.atomic.contains(&(package.into(), (*name).into()));
        let fields = spec.expanded(package, name);
        let _ = writeln!(
            body,
            "pub static {constant}: Struct = structure({name:?}, PACKAGE, {constant}_FIELDS, {atomic});"
        );
        let _ = writeln!(body, "static {constant}_FIELDS: &[Field] = &[");
        for (home, row) in &fields {
            let _ = writeln!(body, "    {},", field(spec, home, row, &mut nodes));
        }
        body.push_str("];\n");
    }
    let mut out = format!(
        "//! Generated by `cargo xtask codegen` from `spec/`: the types of {package}.\n\n#[allow(unused_imports)]\nuse crate::schema::{{field, keys, list, map, plain_list, structure, structured}};\nuse meta::schema::{{Field, Struct}};\n#[allow(unused_imports)]\nuse meta::schema::{{List, ListKind, Map, Type}};\n\nconst PACKAGE: &str = {package:?};\n\n"
    );
    for (code, name) in &nodes.sorted() {
        let kind = if code.starts_with("list(") || code.starts_with("plain_list(") {
            "List"
        } else {
            "Map"
        };
        let _ = writeln!(out, "static {name}: {kind} = {code};");
    }
    out.push('\n');
    out.push_str(&body);
    out
}

/// The lists and maps of a file, each once.
#[derive(Default)]
struct Nodes(BTreeMap<String, String>);

impl Nodes {
    fn name(&mut self, code: String) -> String {
        let next = format!("N{}", self.0.len());
        self.0.entry(code).or_insert(next).clone()
    }

    fn sorted(&self) -> Vec<(&String, &String)> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(_, name)| name[1..].parse::<u32>().unwrap_or(0));
        all
    }
}

fn field(spec: &Spec, home: &str, row: &Row, nodes: &mut Nodes) -> String {
    let ty = spec.resolve(home, &row.go);
    let code = type_code(&ty, Some(row), nodes);
    let pointer = row.go.starts_with('*');
    let omit = match (row.omitempty, &ty) {
        (false, _) => "Never",
        (true, Ty::Leaf("Time" | "MicroTime")) => "Zero",
        (true, _) => "Empty",
    };
    let patch = match row.patch.is_empty() {
        true => "Patch::NONE".to_string(),
        false => format!(
            "Patch {{ merge: {}, retain_keys: {}, key: {:?} }}",
            row.patch.contains("merge"),
            row.patch.contains("retainKeys"),
            row.merge_key
        ),
    };
    let required = match row.presence.as_str() {
        "required" => true,
        "optional" => false,
        _ => !row.omitempty && !pointer,
    };
    let known = format!(
        "field({:?}, {}, {}, {code}, {:?}, {pointer}, meta::schema::Omit::{omit}, {required}, {})",
        row.json,
        row.number,
        row.via,
        go_name(home, &row.go),
        patch.replace("Patch", "meta::schema::Patch"),
    );
    let values = spec.values(home, &row.go);
    let default = Some(&row.default).filter(|d| !d.is_empty() && !d.starts_with("ref("));
    match default.is_none() && values.is_empty() {
        true => known,
        false => format!("{known}.with({default:?}, &{values:?})"),
    }
}

fn type_code(ty: &Ty, row: Option<&Row>, nodes: &mut Nodes) -> String {
    let marker = row.map(|r| r.list_or_map.as_str()).unwrap_or_default();
    match ty {
        Ty::Leaf(name) => format!("Type::{name}"),
        Ty::Struct(package, name) => format!(
            "structured(&super::{}::{})",
            module(package),
            screaming(name)
        ),
        Ty::List(item) => {
            let item = type_code(item, None, nodes);
            let kind = match (marker, row) {
                ("set", _) => "ListKind::Set".to_string(),
                ("map", Some(row)) => {
                    let keys: Vec<String> = row
                        .keys
                        .split(',')
                        .map(|k| format!("std::borrow::Cow::Borrowed({k:?})"))
                        .collect();
                    format!("ListKind::Map(keys(&[{}]))", keys.join(", "))
                }
                ("atomic", _) => "ListKind::Atomic".to_string(),
                _ => String::new(),
            };
            let name = nodes.name(match kind.is_empty() {
                true => format!("plain_list({item})"),
                false => format!("list({item}, {kind})"),
            });
            format!("Type::List(meta::schema::Ref::Static(&{name}))")
        }
        Ty::Map(value) => {
            let value = type_code(value, None, nodes);
            let name = nodes.name(format!("map({value}, {})", marker == "atomic"));
            format!("Type::Map(meta::schema::Ref::Static(&{name}))")
        }
    }
}

/// How Go's reflection prints a type: names carry the last part of their package.
fn go_name(package: &str, go: &str) -> String {
    let go = go.trim_start_matches('*');
    if let Some(rest) = go.strip_prefix("[]") {
        return format!("[]{}", go_name(package, rest));
    }
    if let Some((key, value)) = go
        .strip_prefix("map[")
        .and_then(|rest| rest.split_once(']'))
    {
        return format!("map[{}]{}", go_name(package, key), go_name(package, value));
    }
    match go.split_once('.') {
        Some(("metav1" | "corev1" | "authenticationv1" | "authorizationv1" | "batchv1", name)) => {
            format!("v1.{name}")
        }
        Some(_) => go.into(),
        None if go.starts_with(|c: char| c.is_uppercase()) => {
            format!("{}.{go}", package.rsplit('/').next().unwrap_or_default())
        }
        None => go.into(),
    }
}
