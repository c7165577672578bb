//! Certificates of a client, read from files, and what goes wrong with them in words.
//!
//! # Layout
//! - [`Tls`]: whom a client trusts and who it is, read and checked once; [`Files`]: where that stands;
//! - [`Tls::advice`], [`plain_advice`]: from a library's error to the key, the file and the remedy.
//!
//! One crypto provider serves every store: `ring`. What must never live here: connections; which store is meant is said
//! by the caller, as the section of the configuration.

mod advice;

pub use advice::{Schemes, plain_advice};
pub use rustls::ClientConfig;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Where the certificates of one store are; an empty path is none.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    pub ca: &'a Path,
    pub cert: &'a Path,
    pub key: &'a Path,
}

/// What is wrong with a file; the key of the configuration that names it, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct TlsError {
    /// `section.tls_ca_file`.
    pub key: String,
    pub problem: String,
}

/// Whom a client trusts and who it is. Cheap to clone; `Debug` shows no content.
#[derive(Clone)]
pub struct Tls(Arc<Material>);

struct Material {
    section: String,
    ca: Option<Pem>,
    client: Option<(Pem, Pem)>,
    roots: Vec<CertificateDer<'static>>,
    config: Arc<ClientConfig>,
}

/// A file as it was when it was read.
struct Pem {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("section", &self.0.section)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads and checks the files of a section. Without `ca` the machine's own authorities are trusted.
    ///
    /// # Errors
    /// [`TlsError`] names the key and the file; never what stands in it.
    pub fn read(section: &str, files: Files<'_>) -> Result<Self, TlsError> {
        let key = |name: &str| format!("{section}.tls_{name}_file");
        let wrong = |name: &str| {
            let key = key(name);
            |problem: String| TlsError { key, problem }
        };
        let ca = read(files.ca).map_err(wrong("ca"))?;
        let cert = read(files.cert).map_err(wrong("cert"))?;
        let private = read(files.key).map_err(wrong("key"))?;
        let without = |other: &str| {
            let other = key(other);
            format!("is given without {other}; a client's certificate needs both")
        };
        let client = match (cert, private) {
            (Some(cert), Some(private)) => Some((cert, private)),
            (None, None) => None,
            (Some(_), None) => return Err(wrong("cert")(without("key"))),
            (None, Some(_)) => return Err(wrong("key")(without("cert"))),
        };
        let roots = match &ca {
            Some(pem) => pem.certificates().map_err(wrong("ca"))?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut store = RootCertStore::empty();
        let (_, ignored) = store.add_parsable_certificates(roots.iter().cloned());
        if store.is_empty() || (ca.is_some() && ignored > 0) {
            let problem = match &ca {
                Some(pem) => format!("`{}` holds a certificate that cannot be read", pem.path.display()),
                None => "is not set, and this machine trusts no authority of its own: set it, or install ca-certificates"
                    .to_owned(),
            };
            return Err(wrong("ca")(problem));
        }
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("ca")(error.to_string()))?
            .with_root_certificates(store);
        let config = match &client {
            None => builder.with_no_client_auth(),
            Some((cert, private)) => {
                let chain = cert.certificates().map_err(wrong("cert"))?;
                let private_key = private.private_key().map_err(wrong("key"))?;
                builder
                    .with_client_auth_cert(chain, private_key)
                    .map_err(|error| {
                        let (cert, private) = (cert.path.display(), private.path.display());
                        let of_cert = key("cert");
                        wrong("key")(format!(
                            "`{private}` is not the key of the certificate in `{cert}` ({of_cert}): {error}"
                        ))
                    })?
            }
        };
        Ok(Self(Arc::new(Material {
            section: section.to_owned(),
            ca,
            client,
            roots,
            config: Arc::new(config),
        })))
    }

    /// For a client that speaks rustls itself.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.0.config
    }

    /// The authorities that are trusted, as DER.
    pub fn roots(&self) -> impl Iterator<Item = &[u8]> {
        self.0.roots.iter().map(AsRef::as_ref)
    }

    /// The authorities' file, if one is named.
    pub fn ca_pem(&self) -> Option<&[u8]> {
        self.0.ca.as_ref().map(|pem| pem.bytes.as_slice())
    }

    /// The client's certificate and its key.
    pub fn client_pem(&self) -> Option<(&[u8], &[u8])> {
        let (cert, key) = self.0.client.as_ref()?;
        Some((&cert.bytes, &key.bytes))
    }
}

impl Pem {
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let path = self.path.display();
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match found {
            Ok(found) if found.is_empty() => Err(format!(
                "`{path}` holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
            )),
            Ok(found) => Ok(found),
            Err(_) => Err(format!("`{path}` is no PEM file of certificates")),
        }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, String> {
        // The library's own words might quote the file.
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| {
            format!(
                "`{}` holds no private key in PEM that is not encrypted (-----BEGIN PRIVATE KEY-----)",
                self.path.display()
            )
        })
    }
}

fn read(path: &Path) -> Result<Option<Pem>, String> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(Pem {
            path: path.to_owned(),
            bytes,
        })),
        Err(error) => Err(format!("cannot read `{}`: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    /// Two providers in one program, and rustls chooses none by itself: what uses the default would end it.
    #[test]
    fn the_program_has_one_crypto_provider() {
        let lock = include_str!("../../../Cargo.lock");
        for other in ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"] {
            assert!(!lock.contains(&format!("name = \"{other}\"")), "{other}");
        }
    }
}
