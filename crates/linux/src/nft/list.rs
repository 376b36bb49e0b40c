//! What is there: tables, chains, rules, sets and their elements.

use std::collections::HashSet;

use super::{
    batch::{SUBSYSTEM, kind, read_comment},
    element::OwnedElement,
    socket::{Error, FIXED, Nft},
    types::Family,
};
use crate::netlink::{self, Attrs};

const LISTING_ATTEMPTS: usize = 20;

/// A table that was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// Its comment, or empty.
    pub comment: String,
}

/// A chain that was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainInfo {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// The hook number and priority of a base chain.
    pub hook: Option<(u32, i32)>,
    /// Whether a base chain lets packets pass that no rule decides.
    pub accepts: bool,
}

/// A rule that was listed. What it does is not read back: its comment, which
/// is ours, says which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its chain.
    pub chain: String,
    /// Its comment, or empty.
    pub comment: String,
    /// How many instructions it has.
    pub exprs: usize,
}

/// A set or map that was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetInfo {
    /// Its name.
    pub name: String,
    /// Whether it is anonymous, part of a rule.
    pub anonymous: bool,
}

impl Nft {
    /// All tables of the families we know.
    pub fn tables(&mut self) -> Result<Vec<TableInfo>, Error> {
        let tables = self.socket.dump(
            "list tables",
            SUBSYSTEM | kind::GET_TABLE,
            |body| body.raw(&[0; FIXED]),
            |message| {
                let attrs = Attrs::after(message, FIXED);
                Some(TableInfo {
                    family: Family::from_number(*message.first()?)?,
                    name: attrs.string(1)?,
                    comment: attrs.get(6).map(read_comment).unwrap_or_default(),
                })
            },
        )?;
        Ok(tables)
    }

    /// The table of this name, if it is there.
    pub fn table(&mut self, family: Family, name: &str) -> Result<Option<TableInfo>, Error> {
        let tables = self.tables()?;
        Ok(tables
            .into_iter()
            .find(|table| table.family == family && table.name == name))
    }

    /// The chains of all tables of a family.
    pub fn chains(&mut self, family: Family) -> Result<Vec<ChainInfo>, Error> {
        let chains = self.socket.dump(
            "list chains",
            SUBSYSTEM | kind::GET_CHAIN,
            |body| body.raw(&[family.number(), 0, 0, 0]),
            |message| {
                let attrs = Attrs::after(message, FIXED);
                let hook = attrs.nested(4);
                let number = hook.be32(1);
                let priority = hook.be32(2).map(u32::cast_signed);
                Some(ChainInfo {
                    table: attrs.string(1)?,
                    name: attrs.string(3)?,
                    hook: number.zip(priority),
                    accepts: attrs.be32(5) != Some(0),
                })
            },
        )?;
        Ok(chains)
    }

    /// The rules of a table, chain by chain in order.
    pub fn rules(&mut self, family: Family, table: &str) -> Result<Vec<RuleInfo>, Error> {
        let rules = self.socket.dump(
            &format!("list rules of {table}"),
            SUBSYSTEM | kind::GET_RULE,
            |body| {
                body.raw(&[family.number(), 0, 0, 0]);
                body.str(1, table);
            },
            |message| {
                let attrs = Attrs::after(message, FIXED);
                // Kernels before 4.19 do not filter.
                (attrs.string(1)? == table).then_some(())?;
                Some(RuleInfo {
                    chain: attrs.string(2)?,
                    comment: attrs.get(7).map(read_comment).unwrap_or_default(),
                    exprs: attrs.nested(4).count(),
                })
            },
        )?;
        Ok(rules)
    }

    /// The sets and maps of a table.
    pub fn sets(&mut self, family: Family, table: &str) -> Result<Vec<SetInfo>, Error> {
        let sets = self.socket.dump(
            &format!("list sets of {table}"),
            SUBSYSTEM | kind::GET_SET,
            |body| {
                body.raw(&[family.number(), 0, 0, 0]);
                body.str(1, table);
            },
            |message| {
                let attrs = Attrs::after(message, FIXED);
                (attrs.string(1)? == table).then_some(())?;
                Some(SetInfo {
                    name: attrs.string(2)?,
                    anonymous: attrs.be32(3).unwrap_or(0) & 1 != 0,
                })
            },
        )?;
        Ok(sets)
    }

    /// The elements of a set or map, each once, in no order.
    ///
    /// The kernel's hash tables grow in the background, and a listing that
    /// crosses such a moment repeats some elements and may lack others. One
    /// with repetitions is therefore thrown away and made anew.
    pub fn elements(
        &mut self,
        family: Family,
        table: &str,
        set: &str,
    ) -> Result<Vec<OwnedElement>, Error> {
        for _ in 0..LISTING_ATTEMPTS {
            let elements = self.elements_once(family, table, set)?;
            let keys: HashSet<&[u8]> = elements.iter().map(|element| &*element.key).collect();
            let ranges = elements.iter().any(|element| element.key_end.is_some());
            if keys.len() == elements.len() || ranges {
                return Ok(elements);
            }
        }
        let what = format!("list elements of {table}/{set}");
        Err(netlink::Error::Unstable { what }.into())
    }

    fn elements_once(
        &mut self,
        family: Family,
        table: &str,
        set: &str,
    ) -> Result<Vec<OwnedElement>, Error> {
        let lists = self.socket.dump(
            &format!("list elements of {table}/{set}"),
            SUBSYSTEM | kind::GET_ELEMENTS,
            |body| {
                body.raw(&[family.number(), 0, 0, 0]);
                body.str(1, table);
                body.str(2, set);
            },
            |message| {
                let list = Attrs::after(message, FIXED).nested(3);
                Some(
                    list.filter_map(|(_, element)| OwnedElement::read(Attrs::new(element)))
                        .collect::<Vec<_>>(),
                )
            },
        )?;
        Ok(lists.into_iter().flatten().collect())
    }
}
