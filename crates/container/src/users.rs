//! Who a container runs as: numbers and names resolved by the image's own
//! `/etc/passwd` and `/etc/group`.

use crate::config::{ContainerConfig, SupplementalGroupsPolicy};
use crate::status::ContainerUser;

/// A user with the home directory that goes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Numbers.
    pub user: ContainerUser,
    /// From the image; `/` when the user is unknown there.
    pub home: String,
}

/// Resolves a container's user. `passwd` and `group` are the texts of the image's
/// files, empty when it has none.
pub fn resolve(config: &ContainerConfig, passwd: &str, group: &str) -> Result<Resolved, String> {
    let security = &config.security;
    let image_user = config.image.defaults.user.as_str();
    let asked = match (security.run_as_user, &security.run_as_username) {
        (Some(uid), _) => uid.to_string(),
        (None, Some(name)) if !name.is_empty() => name.clone(),
        _ => image_user.to_owned(),
    };
    let (user, mut group_name) = match asked.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|name| !name.is_empty())),
        None => (asked.as_str(), None),
    };
    let run_as_group = security.run_as_group.map(|gid| gid.to_string());
    if run_as_group.is_some() {
        group_name = run_as_group.as_deref();
    }
    let user = if user.is_empty() { "0" } else { user };
    let entry = passwd
        .lines()
        .filter_map(Passwd::parse)
        .find(|entry| entry.is(user));
    let uid = match &entry {
        Some(entry) => entry.uid,
        None => user.parse().map_err(|_| {
            format!("unable to find user {user}: no matching entries in passwd file")
        })?,
    };
    let gid = match group_name {
        Some(name) => find_group(name, group)?,
        None => entry.as_ref().map_or(0, |entry| entry.gid),
    };
    let mut groups = Vec::new();
    if security.supplemental_groups_policy == SupplementalGroupsPolicy::Merge {
        let name = entry.as_ref().map(|entry| entry.name).unwrap_or_default();
        groups.extend(groups_of(name, group));
    }
    for gid in &security.supplemental_groups {
        groups.push(u32::try_from(*gid).map_err(|_| format!("invalid group {gid}"))?);
    }
    // The primary group is listed first, as containerd does.
    groups.insert(0, gid);
    let mut seen = std::collections::HashSet::new();
    groups.retain(|gid| seen.insert(*gid));
    let home = entry
        .map(|entry| entry.home.to_owned())
        .filter(|home| !home.is_empty());
    Ok(Resolved {
        user: ContainerUser {
            uid,
            gid,
            supplemental_groups: groups,
        },
        home: home.unwrap_or_else(|| "/".to_owned()),
    })
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Passwd<'a> {
    fn parse(line: &'a str) -> Option<Passwd<'a>> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Passwd {
            name,
            uid,
            gid,
            home: fields.nth(1).unwrap_or_default(),
        })
    }

    fn is(&self, user: &str) -> bool {
        self.name == user || user.parse() == Ok(self.uid)
    }
}

fn find_group(name: &str, group: &str) -> Result<u32, String> {
    let by_name = groups(group)
        .find(|(known, _, _)| *known == name)
        .map(|(_, gid, _)| gid);
    by_name
        .or_else(|| name.parse().ok())
        .ok_or_else(|| format!("unable to find group {name}: no matching entries in group file"))
}

fn groups_of(user: &str, group: &str) -> Vec<u32> {
    let member = |members: &str| !user.is_empty() && members.split(',').any(|one| one == user);
    groups(group)
        .filter(|(_, _, members)| member(members))
        .map(|(_, gid, _)| gid)
        .collect()
}

fn groups(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default().trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecurityContext;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nbad line\nweb:x:33:34:w:/var/www:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\nlog:x:50:web,other\nmail:x:51:other,web\n";

    fn check(image: &str, security: SecurityContext, want: &str) {
        let mut config = ContainerConfig {
            security,
            ..Default::default()
        };
        config.image.defaults.user = image.to_owned();
        let got = match resolve(&config, PASSWD, GROUP) {
            Ok(Resolved { user, home }) => {
                format!(
                    "{}:{} {:?} {home}",
                    user.uid, user.gid, user.supplemental_groups
                )
            }
            Err(error) => error,
        };
        assert_eq!(got, want, "image user {image:?}");
    }

    #[test]
    fn users_are_found() {
        let none = SecurityContext::default;
        check("", none(), "0:0 [0] /root");
        check("web", none(), "33:34 [34, 50, 51] /var/www");
        check("33", none(), "33:34 [34, 50, 51] /var/www");
        check("web:log", none(), "33:50 [50, 51] /var/www");
        check("1000", none(), "1000:0 [0] /");
        check("1000:77", none(), "1000:77 [77] /");
        check(
            "ghost",
            none(),
            "unable to find user ghost: no matching entries in passwd file",
        );
        check(
            "web:ghosts",
            none(),
            "unable to find group ghosts: no matching entries in group file",
        );
    }

    #[test]
    fn the_pod_wins_over_the_image() {
        let user = SecurityContext {
            run_as_user: Some(1000),
            ..Default::default()
        };
        check("web", user.clone(), "1000:0 [0] /");
        let group = SecurityContext {
            run_as_group: Some(2000),
            ..user.clone()
        };
        check("web", group, "1000:2000 [2000] /");
        let more = SecurityContext {
            supplemental_groups: vec![5, 50, 5],
            ..Default::default()
        };
        check("web", more.clone(), "33:34 [34, 50, 51, 5] /var/www");
        let strict = SecurityContext {
            supplemental_groups_policy: SupplementalGroupsPolicy::Strict,
            ..more
        };
        check("web", strict, "33:34 [34, 5, 50] /var/www");
        let named = SecurityContext {
            run_as_username: Some("web".into()),
            ..Default::default()
        };
        check("", named, "33:34 [34, 50, 51] /var/www");
    }
}
