//! A schema in the words of [`meta::schema`], by which apply and the owners of
//! fields see a custom resource.

use super::{Additional, ListType, Structural};
use meta::schema::{Field, List, ListKind, Map, Omit, Patch, Ref, Struct, Type};
use std::borrow::Cow;
use std::sync::Arc;

/// What nobody has described: objects merge field by field, lists are one value.
static DEDUCED: Map = Map {
    value: Type::Map(Ref::Static(&DEDUCED)),
    atomic: false,
};
static DEDUCED_ATOMIC: Map = Map {
    value: Type::Map(Ref::Static(&DEDUCED)),
    atomic: true,
};

fn field(name: &str, ty: Type, omit: Omit) -> Field {
    Field {
        json: Cow::Owned(name.to_string()),
        number: 0,
        via: 0,
        ty,
        go: Cow::Borrowed("string"),
        pointer: false,
        omit,
        required: false,
        patch: Patch::NONE,
        default: None,
        values: &[],
    }
}

impl Structural {
    /// The type of a whole resource. `package` is `group/version`, from which
    /// documents make its name.
    pub fn resource(&self, package: &str, kind: &str) -> Struct {
        let metadata = Ref::Static(&crate::generated::meta_v1::OBJECT_META);
        let mut fields = vec![
            field("kind", Type::String, Omit::Empty),
            field("apiVersion", Type::String, Omit::Empty),
            Field {
                go: Cow::Borrowed("v1.ObjectMeta"),
                ..field("metadata", Type::Struct(metadata), Omit::Empty)
            },
        ];
        let own = self.properties.iter();
        let own =
            own.filter(|(name, _)| !matches!(name.as_str(), "kind" | "apiVersion" | "metadata"));
        fields.extend(own.map(|(name, of)| field(name, of.shape(), Omit::Keep)));
        Struct {
            name: Cow::Owned(kind.to_string()),
            package: Cow::Owned(package.to_string()),
            fields: Ref::Shared(fields.into()),
            preserve_unknown: true,
            atomic: false,
        }
    }

    fn shape(&self) -> Type {
        match (self.ty.as_str(), &self.additional) {
            ("array", _) => Type::List(Ref::Shared(Arc::new(self.list()))),
            ("object", Additional::Of(of)) if self.properties.is_empty() => {
                Type::Map(Ref::Shared(Arc::new(Map {
                    value: of.shape(),
                    atomic: self.atomic,
                })))
            }
            ("object", _) if self.properties.is_empty() => {
                Type::Map(Ref::Static(match self.atomic {
                    true => &DEDUCED_ATOMIC,
                    false => &DEDUCED,
                }))
            }
            ("object", _) => Type::Struct(Ref::Shared(Arc::new(self.structure()))),
            ("", _) if self.preserve_unknown => Type::Map(Ref::Static(&DEDUCED)),
            _ => Type::Any,
        }
    }

    fn structure(&self) -> Struct {
        let fields = self.properties.iter();
        let fields: Vec<Field> = fields
            .map(|(name, of)| field(name, of.shape(), Omit::Keep))
            .collect();
        Struct {
            name: Cow::Borrowed(""),
            package: Cow::Borrowed(""),
            fields: Ref::Shared(fields.into()),
            preserve_unknown: self.preserve_unknown,
            atomic: self.atomic,
        }
    }

    fn list(&self) -> List {
        let kind = match &self.list {
            ListType::Unsaid | ListType::Atomic => ListKind::Atomic,
            ListType::Set => ListKind::Set,
            ListType::Map(keys) => {
                let keys: Vec<Cow<'static, str>> = keys.iter().cloned().map(Cow::Owned).collect();
                ListKind::Map(Ref::Shared(keys.into()))
            }
        };
        List {
            item: self.items.as_ref().map_or(Type::Any, |of| of.shape()),
            kind,
            declared: self.list != ListType::Unsaid,
        }
    }
}
