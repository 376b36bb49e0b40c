//! Making certificates: two kinds of authority, and what they sign.

use super::Error;
use super::pair::Pair;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;
/// How long an authority's certificate holds.
const AUTHORITY_DAYS: i64 = 3650;
/// An authority's certificate is made anew when less than this is left.
const AUTHORITY_DAYS_MIN: i64 = 3 * 365;
/// How long other certificates hold.
const LEAF_DAYS: i64 = 365;
/// They are made anew when less than this is left.
const LEAF_DAYS_MIN: i64 = 120;
/// Certificates begin in the past, for machines whose clocks are behind.
const BACKDATED: i64 = 60 * 60;

/// For what a certificate is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// To prove a server's name.
    Server,
    /// To prove who a client is.
    Client,
}

/// A certificate that an authority shall sign.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The files' name, without extension.
    pub(super) file: &'static str,
    pub(super) common_name: String,
    pub(super) organizations: Vec<String>,
    /// DNS names and addresses.
    pub(super) names: BTreeSet<String>,
    pub(super) usage: Usage,
}

impl Leaf {
    /// Whether a certificate is what this asks for, and will be for a while.
    pub(super) fn is_met_by(&self, pair: &Pair, now: i64) -> bool {
        let facts = pair.facts();
        facts.common_name == self.common_name
            && facts.organizations == self.organizations
            && facts.names == self.names
            && facts.not_before <= now
            && facts.not_after - now >= LEAF_DAYS_MIN * DAY
    }

    /// Signs one for a key.
    pub(super) fn sign(&self, authority: &Pair, key: KeyPair, now: i64) -> Result<Pair, Error> {
        let failed = |source| Error::Issue {
            what: self.file.into(),
            source,
        };
        let names: Vec<String> = self.names.iter().cloned().collect();
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name = name(&self.common_name, &self.organizations);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match self.usage {
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        limit(&mut params, now, LEAF_DAYS)?;
        let issuer =
            Issuer::from_ca_cert_der(authority.der(), &authority.signer).map_err(failed)?;
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        Pair::made(&certificate, key)
    }
}

/// Whether an authority's certificate should be made anew. One that somebody
/// else has signed is theirs to renew.
pub(super) fn authority_is_due(pair: &Pair, now: i64) -> bool {
    let facts = pair.facts();
    let own = facts.subject == facts.issuer;
    own && (facts.not_before > now || facts.not_after - now < AUTHORITY_DAYS_MIN * DAY)
}

/// Makes an authority of a key. Done again with the same name and key, whoever
/// trusts the old certificate trusts what the new one signs.
pub(super) fn authority(common_name: &str, key: KeyPair, now: i64) -> Result<Pair, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    limit(&mut params, now, AUTHORITY_DAYS)?;
    let certificate = params.self_signed(&key).map_err(|source| Error::Issue {
        what: common_name.into(),
        source,
    })?;
    Pair::made(&certificate, key)
}

/// A new P-256 key.
pub(super) fn key(what: &str) -> Result<KeyPair, Error> {
    KeyPair::generate().map_err(|source| Error::Issue {
        what: what.into(),
        source,
    })
}

fn name(common_name: &str, organizations: &[String]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    // rcgen keeps one value of a type, which is all that our own need.
    for organization in organizations {
        name.push(DnType::OrganizationName, organization.as_str());
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn limit(params: &mut CertificateParams, now: i64, days: i64) -> Result<(), Error> {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |seconds: i64| epoch + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    params.not_before = at(now - BACKDATED);
    params.not_after = at(now + days * DAY);
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| Error::Entropy)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(())
}
