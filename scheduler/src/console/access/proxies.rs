//! What a request says by the word of a trusted proxy: who sits behind it, under which name and address we are asked.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::http::{HeaderMap, HeaderName, header};
use weldfleet_settings::Console;

use crate::console::problem::Problem;

/// Those that are trusted. Cheap to clone.
#[derive(Clone)]
pub struct Proxies {
    trusted: Arc<[IpAddr]>,
    /// In which they name the user; `None`: they only forward.
    user_header: Option<HeaderName>,
}

impl Proxies {
    pub fn new(console: &Console) -> Self {
        Self {
            trusted: console.trusted_proxies.clone().into(),
            // The settings have looked at it: none only where it is empty.
            user_header: HeaderName::from_bytes(console.user_header.as_bytes()).ok(),
        }
    }

    /// Whether whoever asks is one.
    pub fn has(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        let mut trusted = self.trusted.iter();
        trusted.any(|proxy| proxy.to_canonical() == peer)
    }

    /// The user whom one names, and the header in which it does.
    pub fn user(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Option<(&HeaderName, String)>, Problem> {
        let Some(header) = self.user_header.as_ref().filter(|_| self.has(peer)) else {
            return Ok(None);
        };
        let mut named = headers.get_all(header).iter();
        let Some(name) = named.next() else {
            return Ok(None);
        };
        // One is the proxy's, the other may be anybody's.
        if named.next().is_some() {
            return Err(Problem::ToldTwice(header.to_string()));
        }
        let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
        Ok(Some((header, name)))
    }

    /// Where whoever asks sits: behind proxies what the outermost of them says, else the peer.
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        if !self.has(peer) {
            return peer.to_canonical();
        }
        let forwarded = headers.get_all("x-forwarded-for").iter();
        let forwarded = forwarded.filter_map(|list| list.to_str().ok());
        let mut addresses: Vec<&str> = forwarded.flat_map(|list| list.split(',')).collect();
        addresses.reverse();
        let parsed = addresses.into_iter().map_while(address);
        let mut clients = parsed.filter(|client| !self.has(*client));
        clients.next().unwrap_or(peer).to_canonical()
    }

    /// The address that the browser knows us by.
    fn authority<'h>(&self, headers: &'h HeaderMap, peer: IpAddr) -> Option<&'h str> {
        let forwarded = headers.get("x-forwarded-host").filter(|_| self.has(peer));
        forwarded.or(headers.get(header::HOST))?.to_str().ok()
    }

    /// Whether the browser speaks TLS with the proxy.
    pub fn is_https(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        let proto = headers.get("x-forwarded-proto");
        self.has(peer) && proto.is_some_and(|proto| proto == "https")
    }

    /// Whether the request comes from a page of this address.
    pub fn is_from_here(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        let origin = headers.get(header::ORIGIN).and_then(|it| it.to_str().ok());
        let host = origin.and_then(|origin| origin.split_once("://"));
        let asked = self.authority(headers, peer);
        let is_from_here = host.is_some_and(|(_, host)| asked == Some(host));
        if !is_from_here {
            // A proxy that is not set up looks the same as an attack.
            tracing::warn!(
                origin = origin.unwrap_or("-"),
                asked = asked.unwrap_or("-"),
                %peer,
                "refused: the request is not from a page of this console, or a proxy changes its address; is the peer in \
                 console.trusted_proxies, and does it set X-Forwarded-Host with the port?"
            );
        }
        is_from_here
    }
}

/// An address as proxies write it, some of them with a port.
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.trim_matches(['[', ']']).parse().ok();
    address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use weldfleet_settings::Settings;

    use super::*;

    fn host(name: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(name))])
    }

    #[test]
    fn only_a_trusted_proxy_says_who_and_under_which_name() {
        let mut settings = Settings::default();
        settings.console.trusted_proxies = vec![IpAddr::from([10, 0, 0, 5])];
        let proxies = Proxies::new(&settings.console);
        let mut headers = host("127.0.0.1:9100");
        headers.insert("x-forwarded-host", HeaderValue::from_static("weld.plant"));
        headers.insert("origin", HeaderValue::from_static("https://weld.plant"));
        let proxy: IpAddr = "::ffff:10.0.0.5".parse().unwrap();
        assert!(proxies.is_from_here(&headers, proxy));
        assert!(!proxies.is_from_here(&headers, IpAddr::from([10, 0, 0, 6])));
        headers.remove("origin");
        assert!(
            !proxies.is_from_here(&headers, proxy),
            "a browser always says"
        );
    }

    fn behind(addresses: &[&str], user_header: &str) -> Proxies {
        let mut settings = Settings::default();
        let addresses = addresses.iter().map(|proxy| proxy.parse().unwrap());
        settings.console.trusted_proxies = addresses.collect();
        settings.console.user_header = user_header.to_owned();
        Proxies::new(&settings.console)
    }

    #[test]
    fn whom_a_proxy_names_twice_it_does_not_name() {
        let (proxy, other) = (IpAddr::from([10, 0, 0, 5]), IpAddr::from([10, 0, 0, 6]));
        let proxies = behind(&["10.0.0.5"], "X-Forwarded-User");
        let mut headers = host("weld.plant");
        assert_eq!(proxies.user(&headers, proxy), Ok(None));
        headers.append("x-forwarded-user", HeaderValue::from_static("li"));
        let (_, name) = proxies.user(&headers, proxy).unwrap().unwrap();
        assert_eq!(name, "li");
        assert_eq!(proxies.user(&headers, other), Ok(None));
        // One that only forwards names nobody, whoever sent the header.
        let forwards = behind(&["10.0.0.5"], "");
        assert_eq!(forwards.user(&headers, proxy), Ok(None));
        headers.append("x-forwarded-user", HeaderValue::from_static("mallory"));
        let twice = Problem::ToldTwice("x-forwarded-user".to_owned());
        assert_eq!(proxies.user(&headers, proxy), Err(twice));
    }

    #[test]
    fn behind_a_proxy_the_client_is_the_last_that_is_no_proxy() {
        let proxies = behind(&["10.0.0.5", "::1"], "");
        let client = |peer: &str, forwarded: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for list in forwarded {
                headers.append("x-forwarded-for", HeaderValue::from_static(list));
            }
            proxies.client(&headers, peer.parse().unwrap()).to_string()
        };
        let claimed = "1.2.3.4, 10.0.0.9";
        assert_eq!(client("10.0.0.5", &[claimed]), "10.0.0.9");
        assert_eq!(
            client("10.0.0.5", &["10.0.0.9", "10.0.0.7:1234"]),
            "10.0.0.7"
        );
        assert_eq!(
            client("::1", &["[2001:db8::7]:80, 10.0.0.5"]),
            "2001:db8::7"
        );
        assert_eq!(client("10.0.0.5", &["10.0.0.9, unknown"]), "10.0.0.5");
        assert_eq!(client("10.0.0.5", &[]), "10.0.0.5");
        assert_eq!(client("10.0.0.6", &[claimed]), "10.0.0.6", "not trusted");
    }
}
