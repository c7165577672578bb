//! The certificates of the stores, read where a connection is encrypted.

use weldfleet_tls::{Files, Tls};

use crate::{Settings, SettingsError};

impl Settings {
    /// Reads the certificates of each store whose connection is encrypted.
    pub(crate) fn read_certificates(&mut self) -> Result<(), SettingsError> {
        let clickhouse = &mut self.clickhouse;
        let files = Files {
            ca: &clickhouse.tls_ca_file,
            cert: &clickhouse.tls_cert_file,
            key: &clickhouse.tls_key_file,
        };
        let encrypted = clickhouse.url.starts_with("https");
        clickhouse.tls = certificates("clickhouse", encrypted, "https", files)?;
        let redis = &mut self.redis;
        let files = Files {
            ca: &redis.tls_ca_file,
            cert: &redis.tls_cert_file,
            key: &redis.tls_key_file,
        };
        let encrypted = redis.url.expose().starts_with("rediss");
        redis.tls = certificates("redis", encrypted, "rediss", files)?;
        let mysql = &mut self.mysql;
        if mysql.enabled {
            let files = Files {
                ca: &mysql.tls_ca_file,
                cert: &mysql.tls_cert_file,
                key: &mysql.tls_key_file,
            };
            // A session of MySQL begins in plain text whatever the address says, so no scheme tells the two apart.
            let encrypted =
                mysql.url.expose().contains("require_ssl=true") || named(files).is_some();
            mysql.tls = certificates("mysql", encrypted, "mysql", files)?;
        }
        Ok(())
    }
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
