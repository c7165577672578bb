//! The three stores.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use weldfleet_tls::Tls;

use crate::Secret;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouse {
    /// HTTP interface, `http://host:8123` or `https://host:8443`.
    pub url: String,
    pub user: String,
    /// Password; or `password_file`.
    pub password: Secret,
    /// Whose queries those for the console's pages of welds and events are; empty: `user`'s.
    pub console_user: String,
    /// Its password; or `console_password_file`.
    pub console_password: Secret,
    /// Database of every table.
    pub database: String,
    /// PEM of the authorities that the server's certificate may be signed by; empty: this machine's own.
    pub tls_ca_file: PathBuf,
    /// PEM of this client's certificate, for a server that asks for one; with `tls_key_file`.
    pub tls_cert_file: PathBuf,
    /// PEM of the certificate's private key.
    pub tls_key_file: PathBuf,
    /// What those files held when the settings were loaded; `None`: the connection is not encrypted.
    #[serde(skip)]
    pub tls: Option<Tls>,
    /// Whether `user` and `password` are those of the console, so that an error names its keys.
    #[serde(skip)]
    pub is_of_console: bool,
}

impl Default for ClickHouse {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".into(),
            user: "default".into(),
            password: Secret::default(),
            console_user: String::new(),
            console_password: Secret::default(),
            database: "weld".into(),
            tls_ca_file: PathBuf::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls: None,
            is_of_console: false,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `redis://[user:password@]host:port/db`; or `url_file`. Once loaded it holds `user` and `password` too.
    pub url: Secret,
    /// User; takes the place of the URL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password as it is, not percent-encoded; takes the place of the URL's; or `password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Queue name; the hash tag of every key.
    pub queue: String,
    /// PEM of the authorities that the server's certificate may be signed by; empty: this machine's own.
    pub tls_ca_file: PathBuf,
    /// PEM of this client's certificate, for a server that asks for one; with `tls_key_file`.
    pub tls_cert_file: PathBuf,
    /// PEM of the certificate's private key.
    pub tls_key_file: PathBuf,
    /// What those files held when the settings were loaded; `None`: the connection is not encrypted.
    #[serde(skip)]
    pub tls: Option<Tls>,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: Secret::new("redis://127.0.0.1:6379/0"),
            user: None,
            password: None,
            queue: "infer".into(),
            tls_ca_file: PathBuf::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls: None,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MySql {
    /// `mysql://user:password@host:port/database`; or `url_file`. Once loaded it holds `user` and `password` too.
    pub url: Secret,
    /// User; takes the place of the URL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password as it is, not percent-encoded; takes the place of the URL's; or `password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether NOK rows are mirrored at all.
    pub enabled: bool,
    /// Days before today whose records are looked after; older ones may be purged and do not come back. 0: all days.
    pub keep_days: u16,
    /// PEM of the authorities that the server's certificate may be signed by; empty: this machine's own.
    pub tls_ca_file: PathBuf,
    /// PEM of this client's certificate, for a server that asks for one; with `tls_key_file`.
    pub tls_cert_file: PathBuf,
    /// PEM of the certificate's private key.
    pub tls_key_file: PathBuf,
    /// What those files held when the settings were loaded; `None`: the connection is not encrypted.
    #[serde(skip)]
    pub tls: Option<Tls>,
    /// Our columns of a NOK weld to those of a table that an application reads already, and these alone are filled;
    /// none: the table is the fleet's own.
    pub columns: BTreeMap<String, String>,
    /// What a row of that table must have besides; theirs to a value.
    pub constants: BTreeMap<String, Constant>,
}

/// A value that every new row gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Constant {
    Text(String),
    Whole(i64),
    Number(f64),
    Truth(bool),
}

impl Default for MySql {
    fn default() -> Self {
        Self {
            url: Secret::new("mysql://weld:weld@127.0.0.1:3306/weld"),
            user: None,
            password: None,
            enabled: true,
            keep_days: 0,
            tls_ca_file: PathBuf::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls: None,
            columns: BTreeMap::new(),
            constants: BTreeMap::new(),
        }
    }
}
