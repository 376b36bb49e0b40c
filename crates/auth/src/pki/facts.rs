//! What a certificate says, read once.

use std::collections::BTreeSet;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// What matters of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The subject's common name; empty when it has none.
    pub common_name: String,
    /// The subject's organisations.
    pub organizations: Vec<String>,
    /// DNS names and addresses for which it holds.
    pub names: BTreeSet<String>,
    /// From when it holds, in seconds since 1970.
    pub not_before: i64,
    /// Until when, inclusive.
    pub not_after: i64,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// The subject as it is encoded.
    pub subject: Vec<u8>,
    /// Who signed it, as encoded.
    pub issuer: Vec<u8>,
    /// The public key as it is encoded.
    pub public_key: Vec<u8>,
}

impl Facts {
    /// Reads DER; says why it cannot.
    pub fn read(der: &[u8]) -> Result<Facts, String> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
        if !rest.is_empty() {
            return Err("something follows the certificate".into());
        }
        let subject = certificate.subject();
        let text = |name: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            name.as_str().unwrap_or_default().to_string()
        };
        Ok(Facts {
            common_name: subject
                .iter_common_name()
                .last()
                .map(text)
                .unwrap_or_default(),
            organizations: subject.iter_organization().map(text).collect(),
            names: names(&certificate),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            is_ca: certificate.is_ca(),
            subject: subject.as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            public_key: certificate.public_key().raw.to_vec(),
        })
    }

    /// Whether it holds at a time.
    pub fn holds_at(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// Whether `der` carries a signature of the authority's key and names it as issuer.
pub(crate) fn is_signed_by(der: &[u8], authority: &[u8]) -> bool {
    let (Ok((_, certificate)), Ok((_, authority))) = (
        X509Certificate::from_der(der),
        X509Certificate::from_der(authority),
    ) else {
        return false;
    };
    certificate.issuer().as_raw() == authority.subject().as_raw()
        && certificate
            .verify_signature(Some(authority.public_key()))
            .is_ok()
}

fn names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return BTreeSet::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_string()),
            GeneralName::IPAddress(octets) => address(octets).map(|ip| ip.to_string()),
            _ => None,
        })
        .collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}
