//! The hash that makes a template's ReplicaSet and pods its own.
//!
//! As upstream's ComputeHash (pkg/controller/controller_utils.go) it is FNV-1a of 32 bits over the
//! template and the collision count, spelt in the alphabet of generated names. What is hashed is
//! our own JSON form of the template and not Go's dump of it, so the values differ from upstream's;
//! nothing relies on them, as a set is recognised by its template.

use typed::Wire;
use typed::api::core::v1::PodTemplateSpec;

const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The value of label pod-template-hash.
pub(super) fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut hash = fnv1a(0x811c_9dc5, &template.encode());
    if let Some(collisions) = collisions {
        hash = fnv1a(hash, &i64::from(collisions).to_le_bytes());
    }
    let digits = hash.to_string();
    digits
        .bytes()
        .map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()]))
        .collect()
}

fn fnv1a(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_and_collisions_make_a_difference() {
        let mut template = PodTemplateSpec::default();
        let bare = template_hash(&template, None);
        assert_ne!(bare, template_hash(&template, Some(0)));
        assert_ne!(
            template_hash(&template, Some(1)),
            template_hash(&template, Some(0))
        );
        template.spec.get_or_insert_default().node_name = Some("n".into());
        assert_ne!(bare, template_hash(&template, None));
        assert!(
            bare.bytes().all(|letter| LETTERS.contains(&letter)),
            "{bare}"
        );
    }
}
