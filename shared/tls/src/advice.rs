//! From a library's error to the key, the file and the remedy.
//!
//! The libraries of three stores wrap rustls's error each in its own way, some as text alone. So it is the text that is
//! looked at; tests with real servers hold that it still says what is looked for.

use crate::Tls;

/// How a section writes an address with TLS and one without.
#[derive(Debug, Clone, Copy)]
pub struct Schemes {
    pub encrypted: &'static str,
    pub plain: &'static str,
}

impl Tls {
    /// What an error of a connection with TLS means, and the remedy; `None` where it is not about TLS.
    pub fn advice(&self, error: &str, schemes: Schemes) -> Option<String> {
        if let Some((_, alert)) = error.split_once("received fatal alert: ") {
            return Some(self.alert(alert));
        }
        self.of_certificate(error)
            .or_else(|| self.of_handshake(error, schemes))
    }

    /// What is wrong with the server's certificate.
    fn of_certificate(&self, error: &str) -> Option<String> {
        let section = &self.0.section;
        let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
        let authorities = match &self.0.ca {
            Some(pem) => format!("{section}.tls_ca_file = `{}`", pem.path.display()),
            None => format!("this machine's own authorities ({section}.tls_ca_file is not set)"),
        };
        Some(if says(&["UnknownIssuer"]) {
            format!(
                "the server's certificate is signed by nobody in {authorities}; name the file of the authority that signed it as \
                 {section}.tls_ca_file"
            )
        } else if says(&["not valid for name", "NotValidForName"]) {
            format!(
                "the server's certificate is for another name than that in {section}.url; write a name that it has, or have it issued \
                 for this one (trusted: {authorities})"
            )
        } else if says(&["certificate expired", "Expired"]) {
            format!(
                "the server's certificate has expired; renew it on the server, or set this machine's clock (trusted: {authorities})"
            )
        } else if says(&["not valid yet", "NotValidYet"]) {
            format!(
                "the server's certificate is not valid yet; set this machine's clock or the server's (trusted: {authorities})"
            )
        } else if says(&["invalid peer certificate"]) {
            format!(
                "the server's certificate is not one that can be accepted; have a new one issued for the server (trusted: \
                 {authorities})"
            )
        } else {
            return None;
        })
    }

    /// What is wrong besides: mostly that TLS is not spoken there.
    fn of_handshake(&self, error: &str, schemes: Schemes) -> Option<String> {
        let section = &self.0.section;
        let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
        Some(
            if says(&[
                "corrupt message",
                "InvalidContentType",
                "does not have this capability",
            ]) {
                format!(
                    "what answers there does not speak TLS; turn TLS on there or name the port that has it, or write {} without {section}.tls_*",
                    schemes.plain
                )
            } else if says(&[
                "handshake eof",
                "unexpected end of file",
                "peer closed connection",
            ]) {
                format!(
                    "the server closed the connection instead of speaking TLS; name the port that has TLS, or write {} without \
                 {section}.tls_*",
                    schemes.plain
                )
            // With TLS 1.3 a client is content before the server has looked for its certificate. The alert may then be lost.
            } else if self.0.client.is_none()
                && says(&[
                    "connection was not ready",
                    "connection closed before message completed",
                ])
            {
                format!(
                    "the server closed the connection at once, as one does that wants a client's certificate; give {}",
                    self.client_files()
                )
            // Redis waits for the end of what it takes for a line of text.
            } else if says(&["timed out"]) {
                format!(
                    "nobody finished the handshake; if what is at {section}.url does not speak TLS, write {} without {section}.tls_*",
                    schemes.plain
                )
            } else {
                return None;
            },
        )
    }

    fn client_files(&self) -> String {
        let section = &self.0.section;
        match &self.0.client {
            Some((cert, _)) => format!("{section}.tls_cert_file = `{}`", cert.path.display()),
            None => {
                format!("{section}.tls_cert_file and {section}.tls_key_file, which are not set")
            }
        }
    }

    /// What the server says of us.
    fn alert(&self, alert: &str) -> String {
        let files = self.client_files();
        let mut words = alert.split(|letter: char| !letter.is_ascii_alphanumeric());
        match (&self.0.client, words.next().unwrap_or_default()) {
            (None, "CertificateRequired" | "HandshakeFailure" | "BadCertificate" | "UnknownCA") => {
                format!("the server wants a client's certificate; give {files}")
            }
            (Some(_), "ProtocolVersion" | "HandshakeFailure") | (None, _) => {
                "the server refuses TLS 1.2 and 1.3 as this program speaks them; its log says why"
                    .to_owned()
            }
            (Some(_), _) => format!(
                "the server does not accept {files}; have it issued by an authority that the server trusts, and renew it if it \
                 has expired"
            ),
        }
    }
}

/// What an error of a connection without TLS may mean; `None` where it has none of the `signs`, which are how the
/// store's library says that what came was no answer in plain text.
pub fn plain_advice(
    section: &str,
    error: &str,
    signs: &[&str],
    schemes: Schemes,
) -> Option<String> {
    signs.iter().any(|sign| error.contains(sign)).then(|| {
        format!(
            "if the port there speaks TLS, write {} (and {section}.tls_ca_file)",
            schemes.encrypted
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Files;

    const SCHEMES: Schemes = Schemes {
        encrypted: "rediss://",
        plain: "redis://",
    };

    #[test]
    fn each_error_names_the_key_the_file_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["ours".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (ca, private) = (
            file("ca.pem", certificate.pem()),
            file("key.pem", key.serialize_pem()),
        );
        let none = std::path::Path::new("");
        let anonymous = Tls::read(
            "redis",
            Files {
                ca: &ca,
                cert: none,
                key: none,
            },
        )
        .unwrap();
        let known = Tls::read(
            "redis",
            Files {
                ca: &ca,
                cert: &ca,
                key: &private,
            },
        )
        .unwrap();
        for (tls, error, words) in [
            (
                &anonymous,
                "invalid peer certificate: UnknownIssuer",
                ["redis.tls_ca_file = `", "ca.pem", "signed"],
            ),
            (
                &anonymous,
                "certificate not valid for name \"h\"",
                ["redis.url", "ca.pem", "another name"],
            ),
            (
                &anonymous,
                "invalid peer certificate: certificate expired: x",
                ["redis.tls_ca_file", "ca.pem", "renew"],
            ),
            (
                &anonymous,
                "received fatal alert: CertificateRequired",
                ["redis.tls_cert_file", "redis.tls_key_file", "give"],
            ),
            (
                &anonymous,
                "operation was canceled: connection was not ready",
                [
                    "redis.tls_cert_file",
                    "redis.tls_key_file",
                    "wants a client's certificate",
                ],
            ),
            (
                &known,
                "received fatal alert: UnknownCA",
                ["redis.tls_cert_file", "ca.pem", "authority"],
            ),
            (
                &known,
                "received corrupt message of type InvalidContentType",
                ["redis://", "TLS", "port"],
            ),
        ] {
            let advice = tls.advice(error, SCHEMES).unwrap();
            for word in words {
                assert!(advice.contains(word), "{error}: {advice}");
            }
        }
        assert_eq!(known.advice("connection refused", SCHEMES), None);
        let plain = |error| plain_advice("redis", error, &["reset by peer"], SCHEMES);
        assert_eq!(plain("Connection refused"), None);
        let plain = plain("Connection reset by peer").unwrap();
        assert!(plain.contains("rediss://"), "{plain}");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.pem");
        std::fs::write(&path, "hunter2").unwrap();
        let none = std::path::Path::new("");
        let missing = folder.path().join("missing.pem");
        for (files, key, says) in [
            (
                Files {
                    ca: &missing,
                    cert: none,
                    key: none,
                },
                "redis.tls_ca_file",
                "missing.pem",
            ),
            (
                Files {
                    ca: &path,
                    cert: none,
                    key: none,
                },
                "redis.tls_ca_file",
                "s.pem",
            ),
            (
                Files {
                    ca: none,
                    cert: &path,
                    key: none,
                },
                "redis.tls_cert_file",
                "redis.tls_key_file",
            ),
            (
                Files {
                    ca: none,
                    cert: none,
                    key: &path,
                },
                "redis.tls_key_file",
                "redis.tls_cert_file",
            ),
        ] {
            let error = Tls::read("redis", files).unwrap_err();
            assert_eq!(error.key, key);
            assert!(error.problem.contains(says), "{error}");
            assert!(!error.problem.contains("hunter2"), "{error}");
        }
    }
}
