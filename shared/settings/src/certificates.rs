//! The certificates of the stores, read where a connection is encrypted.

use std::path::Path;

use weldfleet_tls::{Files, Tls};

use crate::{ClickHouse, Settings, SettingsError};

impl Settings {
    /// Reads the certificates of each store whose connection is encrypted.
    pub(crate) fn read_certificates(&mut self) -> Result<(), SettingsError> {
        self.clickhouse.read_certificates()?;
        let store = &mut self.redis;
        let files = files_of([
            &store.tls_ca_file,
            &store.tls_cert_file,
            &store.tls_key_file,
        ]);
        let encrypted = store.url.expose().starts_with("rediss");
        store.tls = certificates("redis", encrypted, "rediss", files)?;
        let store = &mut self.mysql;
        if store.enabled {
            let files = files_of([
                &store.tls_ca_file,
                &store.tls_cert_file,
                &store.tls_key_file,
            ]);
            // A session of MySQL begins in plain text whatever the address says, so no scheme tells the two apart.
            let encrypted =
                store.url.expose().contains("require_ssl=true") || named(files).is_some();
            store.tls = certificates("mysql", encrypted, "mysql", files)?;
        }
        Ok(())
    }
}

impl ClickHouse {
    /// The same account at another address, which may be encrypted where this one is not, and the other way round.
    ///
    /// # Errors
    /// [`SettingsError`], naming the key of a certificate.
    pub fn at(&self, url: &str) -> Result<Self, SettingsError> {
        let mut other = self.clone();
        url.clone_into(&mut other.url);
        other.read_certificates()?;
        Ok(other)
    }

    fn read_certificates(&mut self) -> Result<(), SettingsError> {
        let files = files_of([&self.tls_ca_file, &self.tls_cert_file, &self.tls_key_file]);
        let encrypted = self.url.starts_with("https");
        self.tls = certificates("clickhouse", encrypted, "https", files)?;
        Ok(())
    }
}

fn files_of([ca, cert, key]: [&Path; 3]) -> Files<'_> {
    Files { ca, cert, key }
}

/// The certificates of a section; none where its address is not encrypted, and then none may be named.
fn certificates(
    section: &str,
    encrypted: bool,
    scheme: &str,
    files: Files<'_>,
) -> Result<Option<Tls>, SettingsError> {
    if encrypted {
        return Tls::read(section, files)
            .map(Some)
            .map_err(|error| SettingsError::key(error.key, error.problem));
    }
    match named(files) {
        Some(name) => Err(SettingsError::key(
            format!("{section}.tls_{name}_file"),
            format!(
                "is given, and {section}.url is not encrypted; write {scheme}:// there, or take this key out"
            ),
        )),
        None => Ok(None),
    }
}

/// The first of the files that is named.
fn named(Files { ca, cert, key }: Files<'_>) -> Option<&'static str> {
    let mut files = [("ca", ca), ("cert", cert), ("key", key)].into_iter();
    let named = files.find(|(_, path)| !path.as_os_str().is_empty());
    named.map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_address_has_its_own_encryption() {
        let plain = ClickHouse::default();
        let encrypted = plain
            .at("https://h:8443")
            .expect("this machine's authorities");
        assert!(plain.tls.is_none() && encrypted.tls.is_some());
        let again = encrypted.at("http://h:8123").expect("no certificates");
        assert_eq!(again.url, "http://h:8123");
        assert!(again.tls.is_none());
    }
}
