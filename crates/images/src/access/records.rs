//! What is known about pulls, as files that upstream's kubelet would read:
//! `pulling/` has an intent for each pull that began, `pulled/` a record for
//! each image that a pull has brought.
//!
//! Follows pkg/kubelet/images/pullmanager/fs_pullrecords.go in the names of the
//! files, and kubelet.config.k8s.io/v1beta1 in what they hold.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Digest, Error, store::files};

const VERSION: &str = "kubelet.config.k8s.io/v1beta1";

/// A pull began.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intent {
    kind: String,
    api_version: String,
    image: String,
}

/// An image was pulled, and this is who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    kind: String,
    api_version: String,
    pub last_updated_time: String,
    /// The image's ID.
    pub image_ref: String,
    /// By repository.
    #[serde(default)]
    pub credential_mapping: BTreeMap<String, Grant>,
}

/// Who may use an image under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Grant {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kubernetes_secrets: Vec<Secret>,
    /// Everybody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub node_pods_accessible: bool,
}

/// A secret that a registry has believed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub credential_hash: String,
}

impl Record {
    /// Of an image that nobody may use yet.
    pub fn new(id: &Digest) -> Self {
        Self {
            kind: "ImagePulledRecord".to_owned(),
            api_version: VERSION.to_owned(),
            last_updated_time: String::new(),
            image_ref: id.to_string(),
            credential_mapping: BTreeMap::new(),
        }
    }
}

impl Grant {
    /// For whoever has this secret.
    pub fn to(secret: Secret) -> Self {
        Self {
            kubernetes_secrets: vec![secret],
            node_pods_accessible: false,
        }
    }

    /// For everybody.
    pub fn to_all() -> Self {
        Self {
            kubernetes_secrets: Vec::new(),
            node_pods_accessible: true,
        }
    }

    /// Whether a secret is one that was believed: the same words in another
    /// secret will do, and so will other words in the same secret.
    pub fn knows(&self, secret: &Secret) -> bool {
        let mut known = self.kubernetes_secrets.iter();
        known.any(|one| one.credential_hash == secret.credential_hash || one.is_same(secret))
    }

    /// Takes in another one. What is everybody's stays so.
    pub fn add(&mut self, other: Self) {
        if self.node_pods_accessible || other.node_pods_accessible {
            *self = Self::to_all();
            return;
        }
        for secret in other.kubernetes_secrets {
            self.kubernetes_secrets.retain(|one| !one.is_same(&secret));
            self.kubernetes_secrets.push(secret);
        }
        self.kubernetes_secrets.sort();
    }
}

impl Secret {
    /// Whether it is the same object, whatever it holds.
    fn is_same(&self, other: &Self) -> bool {
        (&self.namespace, &self.name, &self.uid) == (&other.namespace, &other.name, &other.uid)
    }
}

/// The files.
pub(super) struct Files {
    pulling: PathBuf,
    pulled: PathBuf,
}

impl Files {
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let files = Self {
            pulling: directory.join("pulling"),
            pulled: directory.join("pulled"),
        };
        files::make_directory(&files.pulling)?;
        files::make_directory(&files.pulled)?;
        Ok(files)
    }

    pub fn begin(&self, image: &str) -> Result<(), Error> {
        let intent = Intent {
            kind: "ImagePullIntent".to_owned(),
            api_version: VERSION.to_owned(),
            image: image.to_owned(),
        };
        write(&place(&self.pulling, image), &intent)
    }

    pub fn end(&self, image: &str) -> Result<(), Error> {
        remove(&place(&self.pulling, image))
    }

    pub fn is_begun(&self, image: &str) -> Result<bool, Error> {
        let path = place(&self.pulling, image);
        path.try_exists().map_err(Error::io("look for", path))
    }

    /// The names of all pulls that began.
    pub fn intents(&self) -> Result<Vec<String>, Error> {
        let intents = all::<Intent>(&self.pulling)?;
        Ok(intents.into_iter().map(|intent| intent.image).collect())
    }

    pub fn record(&self, id: &Digest) -> Result<Option<Record>, Error> {
        read(&place(&self.pulled, &id.to_string()))
    }

    pub fn records(&self) -> Result<Vec<Record>, Error> {
        all(&self.pulled)
    }

    pub fn write_record(&self, record: &Record) -> Result<(), Error> {
        write(&place(&self.pulled, &record.image_ref), record)
    }

    pub fn remove_record(&self, image_ref: &str) -> Result<(), Error> {
        remove(&place(&self.pulled, image_ref))
    }
}

/// The file about something with this name.
fn place(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("sha256-{}", Digest::of(name.as_bytes()).hex()))
}

fn write(path: &Path, what: &impl Serialize) -> Result<(), Error> {
    let content = serde_json::to_vec(what).map_err(damaged(path))?;
    files::replace(path, &content)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    serde_json::from_slice(&content)
        .map(Some)
        .map_err(damaged(path))
}

/// Everything in a directory that can be read. What is damaged stays: were it
/// gone, its image would pass for one that nobody pulled.
fn all<T: DeserializeOwned>(directory: &Path) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::io("list", directory))? {
        let entry = entry.map_err(Error::io("list", directory))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match read(&entry.path()) {
            Ok(one) => found.extend(one),
            Err(Error::Record { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn damaged(path: &Path) -> impl FnOnce(serde_json::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Record { path, source }
}
