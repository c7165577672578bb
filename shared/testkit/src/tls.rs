//! Real certificates, made for one test, and TLS in front of a service that has none.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Which certificate the servers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Signed by `ca.pem`, for 127.0.0.1.
    Good,
    /// Signed by `ca.pem`, for another host.
    OtherName,
    /// Signed by `ca.pem`, for 127.0.0.1, over since 2001.
    Expired,
}

/// A folder with `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`, and `other-ca.pem`, which signed
/// nothing.
///
/// The services run in accounts of their own, so all of it is open to everybody; it is of no worth after the test.
pub struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    /// A new authority and what it signed.
    ///
    /// # Panics
    /// When they cannot be made or written.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("open folder");
        let (issuer, ca) = authority("authority of the test");
        let made = Self { folder, issuer };
        made.write("ca.pem", &ca);
        made.write("other-ca.pem", &authority("another authority").1);
        made.issue("client", "weldfleet", false);
        made.show(Shown::Good);
        made
    }

    /// Changes the servers' certificate; a proxy shows it at its next connection, a service once it is started again.
    pub fn show(&self, shown: Shown) {
        match shown {
            Shown::Good => self.issue("server", "127.0.0.1", false),
            Shown::OtherName => self.issue("server", "elsewhere.example", false),
            Shown::Expired => self.issue("server", "127.0.0.1", true),
        }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn issue(&self, file: &str, name: &str, expired: bool) {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        // Not the default, by which OpenSSL would take it for its own issuer.
        params.distinguished_name.push(DnType::CommonName, file);
        if expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        self.write(&format!("{file}.pem"), &certificate.pem());
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("write");
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).expect("signed").pem();
    (Issuer::new(params, key), pem)
}

/// A port that speaks TLS, asks for a client's certificate, and passes on to a service that does neither.
pub struct TlsProxy {
    port: u16,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl TlsProxy {
    /// Listens in front of `port` on loopback.
    ///
    /// # Panics
    /// When it cannot listen, or a certificate cannot be read.
    pub fn start(port: u16, certificates: &Certificates) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("as tokio wants it");
        let own = listener.local_addr().expect("bound").port();
        let folder = certificates.folder().to_owned();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor(&folder);
                tokio::spawn(async move {
                    // Whoever fails at the handshake is told by an alert, and that is all there is to do.
                    if let Ok(mut client) = acceptor.accept(client).await
                        && let Ok(mut service) =
                            TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await
                    {
                        let _ = copy_bidirectional(&mut client, &mut service).await;
                    }
                });
            }
        });
        Self {
            port: own,
            runtime: Some(runtime),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        // A test's own runtime may be what drops it, where nothing may wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let certificates = |file: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(folder.join(file))
            .and_then(Iterator::collect)
            .unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates("ca.pem"));
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .expect("a verifier");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("server.key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates("server.pem"), key)
        .expect("a server's certificate");
    TlsAcceptor::from(Arc::new(config))
}
